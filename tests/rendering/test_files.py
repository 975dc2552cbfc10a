"""Which files and words a project has, for which answers."""

import re

import pytest

from tests.deployment.platforms import PLATFORMS, platform_of
from tests.pipelines.readers import READERS, github
from tests.support.options import (
    EVERY_COMBINATION,
    REDIS_STATES,
    TEMPLATE,
    combinations,
)

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
DOCKER = {".dockerignore", "Dockerfile", "compose.yaml"}
DEPLOYMENT = {
    "deploy/commands.py",
    "deploy/run.py",
    "deploy/environments.toml",
    "deploy/smoke.py",
    "docs/deployment.md",
}
PROVIDERS = {name: set(reader.FILES) for name, reader in READERS.items()}
ROLLBACK = {github.ROLLBACK}
OPTIONAL = REDIS | CELERY | CHANNELS | NO_CHANNELS | DOCKER | ROLLBACK | DEPLOYMENT
OPTIONAL = OPTIONAL.union(*PROVIDERS.values())
OPTIONAL = OPTIONAL.union(*(platform.own_files for platform in PLATFORMS.values()))

# What must not be said anywhere in a project that did not choose it.
TRACES = {
    **{name: name for name in PROVIDERS},
    # A program can come from there in any project.
    "github": r"github(?!\.com/[\w-]+/[\w-]+/releases/download/)",
    **{name.partition("-")[0]: platform.trace for name, platform in PLATFORMS.items()},
    "deployment": "deployment|smoke|rollback|roll back|/deploy",
    "use_redis": r"redis|valkey|cache\b.*backend",
    "use_celery": r"celery|broker|kombu|tasks?\.py|worker\b(?!-class)",
    "use_docker": r"dockerfile|\bcompose\b|docker build|make (image|publish)|buildx",
    "use_channels": r"channels|channel_layer|websocket|asgi\b|consumer",
}


@pytest.mark.parametrize(
    "answers", EVERY_COMBINATION.values(), ids=EVERY_COMBINATION.keys()
)
def test_a_project_has_the_files_of_its_answers_and_no_other(rendered, answers):
    expected = ALWAYS - OPTIONAL | PROVIDERS[answers["ci_provider"]]
    if answers["use_redis"]:
        expected |= REDIS
    if answers.get("use_celery"):
        expected |= CELERY
    if answers.get("use_docker"):
        expected |= DOCKER
    if platform := platform_of(**answers):
        expected |= DEPLOYMENT | platform.files(answers)
        if answers["ci_provider"] == "github":
            expected |= ROLLBACK
    expected |= CHANNELS if answers.get("use_channels") else NO_CHANNELS

    assert rendered(**answers).files() == expected


def chosen(answers):
    """Return the names of what the answers choose."""
    uses = {name for name, answer in answers.items() if answer is True}
    deployment = {"deployment"} if platform_of(**answers) else set()
    return uses | deployment | {answers["ci_provider"], answers["deploy_target"]}


@pytest.mark.parametrize(
    ("answers", "trace"),
    [
        pytest.param(answers, trace, id=f"{name}-{trace}")
        for name, answers in combinations(
            "ci_provider", "redis", "use_docker", "deploy_target"
        ).items()
        for trace in sorted(TRACES.keys() - chosen(answers))
    ],
)
def test_what_is_not_chosen_leaves_no_trace(rendered, answers, trace):
    project = rendered(**answers)
    for name in project.files() - {".copier-answers.yml"}:
        # Packages bring each other: test_requirements.py compiles the lock files.
        if not name.startswith("requirements"):
            found = re.search(TRACES[trace], project.read(name), re.IGNORECASE)
            assert not found, f"{name}: {found.group()}"


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES.keys())
def test_versions_agree(rendered, answers):
    for version in ("3.12", "3.13", "3.14"):
        project = rendered(**answers, python_version=version)
        assert project.read(".python-version") == f"{version}\n"
        requires = project.toml("pyproject.toml")["project"]["requires-python"]
        assert requires == f">={version}"


def test_the_readme_is_short(rendered):
    for answers in combinations(
        "ci_provider", "redis", "use_docker", "deploy_target"
    ).values():
        assert len(rendered(**answers).read("README.md").splitlines()) < 80


def test_the_pages_name_only_targets_that_exist(rendered):
    for answers in combinations(
        "ci_provider", "redis", "use_docker", "deploy_target"
    ).values():
        project = rendered(**answers)
        targets = set(
            re.findall(r"^([a-z-]+):", project.read("Makefile"), re.MULTILINE)
        )
        pages = {name for name in project.files() if name.endswith(".md")}
        text = "".join(map(project.read, pages))
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)) <= targets
