"""Which files and words a project has, for which answers."""

import re

import pytest
from options import EVERY_COMBINATION, REDIS_STATES, TEMPLATE

ALWAYS = {
    str(path.relative_to(TEMPLATE / "template")).removesuffix(".jinja")
    for path in (TEMPLATE / "template").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
} - {"{{ _copier_conf.answers_file }}"} | {".copier-answers.yml"}
REDIS = {"tests/test_cache.py"}
CELERY = {
    "apps/users/tasks.py",
    "config/celery.py",
    "tests/test_tasks.py",
}
CHANNELS = {
    "apps/users/consumers.py",
    "config/asgi.py",
    "config/routing.py",
    "tests/test_consumers.py",
}
NO_CHANNELS = {"config/wsgi.py", "tests/test_wsgi.py"}
OPTIONAL = REDIS | CELERY | CHANNELS | NO_CHANNELS

# What must not be said anywhere in a project that did not choose it.
TRACES = {
    "use_redis": r"redis|valkey|cache\b.*backend",
    "use_celery": r"celery|broker|kombu|tasks?\.py|worker\b(?!-class)",
    "use_channels": r"channels|channel_layer|websocket|asgi\b|gunicorn|consumer",
}


@pytest.mark.parametrize(
    "answers", EVERY_COMBINATION.values(), ids=EVERY_COMBINATION.keys()
)
def test_a_project_has_the_files_of_its_answers_and_no_other(rendered, answers):
    expected = ALWAYS - OPTIONAL
    if answers["use_redis"]:
        expected |= REDIS
    if answers.get("use_celery"):
        expected |= CELERY
    expected |= CHANNELS if answers.get("use_channels") else NO_CHANNELS

    assert rendered(**answers).files() == expected


@pytest.mark.parametrize(
    ("state", "question"),
    [
        (state, question)
        for state, answers in REDIS_STATES.items()
        for question in TRACES
        if not answers.get(question)
    ],
)
def test_what_is_not_chosen_leaves_no_trace(rendered, state, question):
    project = rendered(**REDIS_STATES[state])
    for name in project.files() - {".copier-answers.yml"}:
        # Packages bring each other: test_requirements.py compiles the lock files.
        if not name.startswith("requirements"):
            found = re.search(TRACES[question], project.read(name), re.IGNORECASE)
            assert not found, f"{name}: {found.group()}"


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES.keys())
def test_versions_agree(rendered, answers):
    for version in ("3.12", "3.13", "3.14"):
        project = rendered(**answers, python_version=version)
        assert project.read(".python-version") == f"{version}\n"
        requires = project.toml("pyproject.toml")["project"]["requires-python"]
        assert requires == f">={version}"


def test_the_readme_is_short(rendered):
    for answers in REDIS_STATES.values():
        assert len(rendered(**answers).read("README.md").splitlines()) < 80


def test_the_readme_names_only_targets_that_exist(rendered):
    for answers in REDIS_STATES.values():
        project = rendered(**answers)
        targets = set(
            re.findall(r"^([a-z-]+):", project.read("Makefile"), re.MULTILINE)
        )
        named = set(re.findall(r"\bmake ([a-z-]+)", project.read("README.md")))
        assert named <= targets
