"""Which files and words a project has, for which answers."""

import json
import math
import re
import sys
from collections import defaultdict

import pytest

from tests.deployment.platforms import PLATFORMS, platform_of
from tests.pipelines.readers import READERS, github
from tests.support.contents import Content, contents, fail_for, refuse
from tests.support.options import (
    ENFORCING,
    EVERY_COMBINATION,
    QUESTIONS,
    REDIS_STATES,
    VERSIONS,
    WITHOUT_UPDATES,
    choices,
)
from tests.support.tracked import tracked
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
ALWAYS = {
    name.removeprefix("template/").removesuffix(".jinja")
    for name in tracked("template")
} - {"{{ _copier_conf.answers_file }}"} | {".copier-answers.yml"}
REDIS = {
    "apps/health/checks/cache.py",
    "config/cache.py",
    "config/redis.py",
    "scripts/servers/valkey/__init__.py",
    "scripts/servers/valkey/embedded.py",
    "scripts/servers/valkey/probe.py",
    "scripts/servers/valkey/variables.toml",
    "tests/test_cache.py",
}
CELERY = {
    "apps/health/checks/broker.py",
    "apps/health/checks/results.py",
    "apps/users/tasks.py",
    "config/celery.py",
    "config/celery_logs.py",
    "config/celery_url.py",
    "config/schedule.py",
    "tests/test_tasks.py",
}
CHANNELS = {
    "apps/health/checks/channel_layer.py",
    "apps/users/consumers.py",
    "config/asgi.py",
    "config/pool.py",
    "config/routing.py",
    "config/channel_layer.py",
    "config/socket_logs.py",
    "tests/test_consumers.py",
}
NO_CHANNELS = {"config/wsgi.py", "tests/test_wsgi.py"}
DOCKER = {".dockerignore", "Dockerfile", "compose.yaml"}
DEPLOYMENT = {
    "deploy/commands.py",
    "deploy/run.py",
    "deploy/environments.toml",
    "deploy/pages.py",
    "deploy/restore.py",
    "deploy/smoke.py",
    "deploy/watch.py",
    "docs/deployment.md",
}
# For targets that lose the disk of a process, as each of them does
BUCKET = {"config/bucket.py", "tests/test_uploads.py"}
E2E = {"e2e/conftest.py", "e2e/test_admin.py", "e2e/test_pages.py"}
TEMPLATE_JOB = {"scripts/code_host.py", "scripts/template_request.py"}
PROVIDERS = {name: set(reader.FILES) for name, reader in READERS.items()}
ROLLBACK = {github.ROLLBACK}
OPTIONAL = REDIS | CELERY | CHANNELS | NO_CHANNELS | DOCKER | ROLLBACK | DEPLOYMENT
OPTIONAL |= BUCKET | E2E | TEMPLATE_JOB
OPTIONAL = OPTIONAL.union(*PROVIDERS.values())
OPTIONAL = OPTIONAL.union(*(platform.own_files for platform in PLATFORMS.values()))

# What a project that did not choose it must not name anywhere
TRACES = {
    **{name: name for name in PROVIDERS},
    # A program can come from there in any project.
    "github": r"github(?!\.com/[\w-]+/[\w-]+/releases/download/)",
    **{name.partition("-")[0]: platform.trace for name, platform in PLATFORMS.items()},
    "deployment": r"deployment|smoke|rollback|roll back|/deploy|\bbucket|\bs3\b|boto",
    "use_redis": r"redis|valkey|cache\b.*backend",
    "use_celery": r"celery|\bbeat\b|broker|kombu|tasks?\.py|(?<!uvicorn)(?<!uvicorn[-_])worker\b",
    "use_e2e": r"e2e|playwright|chromium|make browser",
    "template_job": r"template[-_](request|bundle)|code_host|template_token",
    "use_docker": r"dockerfile|\bcompose\b|docker build|make (image|publish)|buildx",
    "use_channels": r"channels|channel_layer|websocket|asgi\b|consumer|uvicorn",
}
# Files and folders that pages name, and that a team makes
MADE = {
    ".venv/bin/pytest",
    ".venv/bin/python",
    ".vscode/launch.json",
    "apps/blog/",
    "apps/blog/models.py",
    "locale/de/LC_MESSAGES/django.po",
    "media/",
    "tests.py",
}


@pytest.mark.parametrize(
    ("name", "answers"), EVERY_COMBINATION.items(), ids=EVERY_COMBINATION
)
def test_project_has_exactly_the_files_of_its_answers(rendered, name, answers):
    expected = ALWAYS - OPTIONAL | PROVIDERS[answers["ci_provider"]]
    if answers["use_redis"]:
        expected |= REDIS
    if answers.get("use_celery"):
        expected |= CELERY
    if answers.get("use_docker"):
        expected |= DOCKER
    if platform := platform_of(**answers):
        expected |= DEPLOYMENT | BUCKET | platform.files(answers)
        if answers["ci_provider"] == "github":
            expected |= ROLLBACK
    expected |= CHANNELS if answers.get("use_channels") else NO_CHANNELS

    assert rendered(**answers).files() == expected, name


def test_enforced_migrations_change_one_command_and_its_pages(rendered):
    project, other = rendered(migration_safety="enforce"), rendered()

    assert project.files() == other.files()
    differing = {it for it in project.files() if project.read(it) != other.read(it)}
    pages = {"docs/migrations.md", "docs/pipeline.md"}
    assert differing == {".copier-answers.yml", "Makefile", *pages}
    command = "-m scripts.check_migrations"
    text = other.read("Makefile").replace(command, f"{command} --enforce")
    assert project.read("Makefile") == text


def test_tests_in_a_browser_are_three_more_files(rendered):
    for answers in WITHOUT_UPDATES.values():
        project, other = (rendered(**answers | {"use_e2e": it}) for it in (True, False))
        assert project.files() == other.files() | E2E


def test_job_for_updates_of_the_template_is_two_more_files(rendered):
    for answers in WITHOUT_UPDATES.values():
        project, other = (
            rendered(**answers | {"template_updates": it}) for it in ("job", "none")
        )
        assert project.files() == other.files() | TEMPLATE_JOB
        differing = {it for it in other.files() if project.read(it) != other.read(it)}
        changed = {".copier-answers.yml", "Makefile", "docs/pipeline.md"}
        assert differing - changed <= PROVIDERS[answers["ci_provider"]]


@pytest.mark.parametrize("update", choices("template_updates"))
def test_each_update_of_the_template_meets_each_other_answer(update):
    met = [it for it in ENFORCING.values() if it["template_updates"] == update]
    for question in ("ci_provider", "use_docker", "deploy_target", "use_e2e"):
        assert {it[question] for it in met} == set(choices(question)), question
    for state in REDIS_STATES.values():
        assert any(state.items() <= it.items() for it in met), state


def test_updates_of_the_template_by_renovate_change_its_configuration(rendered):
    project, other = rendered(template_updates="renovate"), rendered()
    assert project.files() == other.files()
    differing = {it for it in project.files() if project.read(it) != other.read(it)}
    assert differing == {".copier-answers.yml", "docs/development.md", "renovate.json"}


@pytest.mark.parametrize("answers", WITHOUT_UPDATES.values(), ids=WITHOUT_UPDATES)
def test_project_without_updates_does_not_name_renovate(rendered, answers):
    project = rendered(**answers)
    other = rendered(**answers | {"use_renovate": True})

    assert project.files() == other.files() - {"renovate.json"}
    differing = {it for it in project.files() if project.read(it) != other.read(it)}
    assert differing - {".dockerignore"} == {
        ".copier-answers.yml",
        "docs/development.md",
    }
    for name in project.files() - {".copier-answers.yml"}:
        assert "renovate" not in project.read(name).lower()


def test_projects_without_updates_have_each_other_answer():
    projects = WITHOUT_UPDATES.values()
    for question in (
        *("ci_provider", "use_docker", "deploy_target"),
        *("dependency_audit", "migration_safety", "use_e2e"),
    ):
        assert {answers[question] for answers in projects} == set(choices(question))
    for state in REDIS_STATES.values():
        assert any(state.items() <= answers.items() for answers in projects), state


def chosen(answers):
    """Return the names of what the answers choose."""
    uses = {name for name, answer in answers.items() if answer is True}
    deployment = {"deployment"} if platform_of(**answers) else set()
    return uses | deployment | {answers["ci_provider"], answers["deploy_target"]}


def test_project_has_no_trace_of_what_was_not_chosen(every_project):
    owners = defaultdict(list)
    for content, names in contents(every_project).items():
        # Packages bring each other: test_requirements.py compiles the lock files.
        locks = ("requirements", "deploy/heroku/package-lock.json")
        if not content.path.startswith((".copier-answers.yml", *locks)):
            for name in names:
                for trace in TRACES.keys() - chosen(EVERY_COMBINATION[name]):
                    owners[content, trace].append(name)

    def judge(items):
        found = {
            (content, trace): re.search(TRACES[trace], content.text, re.IGNORECASE)
            for content, trace in items
        }
        return {it: [match.group()] if match else [] for it, match in found.items()}

    refuse(
        *("traces", owners),
        lambda item: [item[0].path, item[0].hash, TRACES[item[1]], CODE],
        judge,
    )


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_python_versions_agree(rendered, answers):
    for version in choices("python_version"):
        project = rendered(**answers, python_version=version)
        assert project.read(".python-version") == f"{version}\n"
        requires = project.toml("pyproject.toml")["project"]["requires-python"]
        assert requires == f">={version}"


def test_readme_is_short(every_project):
    owners = contents(every_project, "README.md")
    lengths = {content: len(content.text.splitlines()) for content in owners}
    fail_for(
        {it: [f"has {length} lines"] for it, length in lengths.items() if length >= 80},
        owners,
    )


def test_page_for_agents_is_short(every_project):
    owners = contents(every_project, "AGENTS.md")
    lengths = {content: len(content.text.splitlines()) for content in owners}
    fail_for(
        {it: [f"has {length} lines"] for it, length in lengths.items() if length > 40},
        owners,
    )


@pytest.mark.parametrize("page", ["AGENTS.md", "docs/development.md"])
def test_page_names_only_files_that_exist(every_project, page):
    owners = defaultdict(list)
    for name, project in every_project.items():
        owners[Content(page, project.tree[page][0])].append((name, project))
    findings = {}
    for content, having in owners.items():
        named = set(re.findall(r"`((?:\.?\w+/)+[\w.]*|\w+\.\w+)`", content.text))
        for name, project in having:
            files = project.files()
            missing = [
                it
                for it in named - MADE
                if not any(
                    path.startswith(it) or path.endswith(f"/{it}") for path in files
                )
            ]
            findings[content] = findings.get(content, []) + [
                f"{it} in {name}" for it in missing
            ]
    fail_for(
        findings,
        {content: [name for name, _ in having] for content, having in owners.items()},
    )


def test_coverage_leaves_out_only_files_that_exist(every_project):
    for project in every_project.values():
        omitted = project.toml("pyproject.toml")["tool"]["coverage"]["run"]["omit"]
        files = {it for it in omitted if "/" in it and "*" not in it}

        assert files, "no module of the template is left out"
        assert files <= set(project.files())


def test_pages_name_only_make_targets_that_exist(every_project):
    owners = defaultdict(list)
    for name, project in every_project.items():
        pages = [path for path in sorted(project.files()) if path.endswith(".md")]
        files = [Content(path, project.tree[path][0]) for path in ("Makefile", *pages)]
        owners[tuple(files)].append(name)
    findings = {}
    for makefile, *pages in owners:
        targets = set(re.findall(r"^([a-z-]+):", makefile.text, re.MULTILINE))
        text = "".join(page.text for page in pages)
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
        findings[makefile, *pages] = [f"make {it}" for it in named - targets]
    fail_for(findings, owners)


def test_option_space_has_810_combinations():
    counts = {"redis": len(REDIS_STATES)}
    for question in ("ci_provider", *VERSIONS):
        counts[question] = len(choices(question))
    # Half of the targets need an image.
    counts["use_docker and deploy_target"] = 6 + 3

    assert math.prod(counts.values()) == len(EVERY_COMBINATION) == 810
    distinct = {json.dumps(it, sort_keys=True) for it in EVERY_COMBINATION.values()}
    assert len(distinct) == 810


def test_every_question_with_choices_is_combined():
    combined = {name for answers in EVERY_COMBINATION.values() for name in answers}
    asked = {
        name
        for name, question in QUESTIONS.items()
        if question["type"] == "bool" or "choices" in question
    }
    # The first four change jobs of the pipeline: tests/pipelines combines them. The others
    # change few lines or add a file: WITHOUT_UPDATES combines them.
    others = {"dependency_audit", "image_registry", "use_e2e", "template_updates"}
    others |= {"migration_safety", "use_renovate"}
    assert asked - others == combined
    for name in combined:
        found = {answers.get(name, False) for answers in EVERY_COMBINATION.values()}
        assert found == set(choices(name))
