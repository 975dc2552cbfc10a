"""The documentation agrees with the template, and its commands work."""

import ast
import os
import re
import shutil

import pytest
import yaml

from tests.deployment.platforms import platform_of
from tests.docs.pages import Page
from tests.support.commands import PROJECT, commands_of, documented
from tests.support.machine import give_up
from tests.support.options import FULL, TEMPLATE, combinations
from tests.support.project import Project

PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]

# The commands of the generated pages that no other test needs to run
COMMANDS = [
    "make check",
    "make check-migrations",
    "make check-migrations BASE_COMMIT=origin/main",
    "make format",
    "make lint",
    "make lock",
    'make lock ARGS="--upgrade-package django"',
    "make lock ARGS=--upgrade",
    'make manage ARGS="compilemessages --ignore=.*"',
    'make manage ARGS="makemessages --locale de"',
    'make manage ARGS="makemigrations --merge"',
    "make manage ARGS=makemigrations",
    "make migrate",
    'make run ARGS="python manage.py showmigrations"',
    "make services-stop",
    "make setup",
    "make template-diff",
    "make template-status",
    "make template-update",
    "make test",
    'make test ARGS="--no-cov -k health -s"',
    'make test ARGS="--no-cov -k health"',
    "make wait",
    "python manage.py healthcheck",
    "python manage.py migrate",
    "uvx pre-commit install",
]


@pytest.mark.parametrize(
    "page",
    [*PAGES, TEMPLATE / "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(TEMPLATE)),
)
def test_links_lead_to_existing_files_and_headings(page):
    for target, anchor in Page(page.read_text()).links:
        linked = (page.parent / target) if target else page
        assert linked.exists(), target
        assert not anchor or anchor in Page(linked.read_text()).anchors, anchor


def test_documented_make_targets_exist():
    makefiles = [TEMPLATE / "Makefile", TEMPLATE / "template" / "Makefile.jinja"]
    text = "".join(makefile.read_text() for makefile in makefiles)
    targets = set(re.findall(r"^([a-z0-9-]+):", text, re.MULTILINE))
    for page in PAGES:
        named = re.findall(
            r"^make (?:-C \S+ )?([a-z0-9-]+)|`make ([a-z0-9-]+)",
            page.read_text(),
            re.M,
        )
        assert {a or b for a, b in named} <= targets, page.name


WITH_TARGET = {
    name: answers
    for name, answers in combinations("redis", "use_docker", "deploy_target").items()
    if platform_of(**answers)
}


@pytest.mark.parametrize("answers", WITH_TARGET.values(), ids=WITH_TARGET)
def test_manual_has_existing_commands_of_its_platform(rendered, answers):
    platform = platform_of(**answers)
    page = rendered(**answers).read("docs/deployment.md")
    found = commands_of(page) | set(re.findall(f"`({platform.tool} [^`]+)`", page))

    others = ("make ", "python3 -c 'import secrets; ")
    for command in found:
        if not command.startswith(others):
            known = [name for name in platform.commands if command.startswith(name)]
            options = platform.commands[max(known, key=len)]
            assert set(re.findall(r" (--[a-z-]+)", command)) <= options, command


@pytest.mark.parametrize("answers", WITH_TARGET.values(), ids=WITH_TARGET)
def test_manual_lists_every_variable_of_a_deployment(rendered, answers):
    project = rendered(**answers)
    module = ast.parse(project.read(f"deploy/{answers['deploy_target']}.py"))
    names = [
        name
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id.endswith("VARIABLES")
        for name in ast.literal_eval(node.value)
    ]

    image = ["IMAGE"] * ("deploy/image.py" in project.files())
    page = project.read("docs/deployment.md")
    for name in [*names, *image]:
        assert re.search(rf"^\| (`\w+`, )?`{name}`", page, re.MULTILINE), name


@pytest.fixture(scope="module")
def project(render_for_module, template, tmp_path_factory):
    """Return a project of a release of the template, which is its newest."""
    source = Project(template).copy_to(tmp_path_factory.mktemp("template") / "source")
    source.commit()
    source.tag("v1.0.0")
    project = render_for_module(**FULL)
    answers = yaml.safe_load(project.read(".copier-answers.yml"))
    answers |= {"_src_path": str(source.path), "_commit": "v1.0.0"}
    (project / ".copier-answers.yml").write_text(yaml.safe_dump(answers))
    project.commit()
    # Some commands install: not into an environment that other tests use.
    project.make_ok("setup")
    return project


def test_commands_to_run_are_on_the_pages():
    assert documented().keys() >= {
        f"{it} ({PROJECT})" if it.startswith("make ") else it for it in COMMANDS
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_generated_pages_work(project, command):
    variables = {}
    if command.startswith("python manage.py"):
        # In production the environment is active.
        variables["PATH"] = f"{project / '.venv/bin'}:{os.environ['PATH']}"
        project.make("manage", "ARGS=migrate")

    if "messages" in command:
        if not shutil.which("msgfmt"):
            give_up("this command needs GNU gettext (Debian: gettext)")
        messages = project / "locale/de/LC_MESSAGES/django.po"
        messages.parent.mkdir(parents=True, exist_ok=True)
        messages.touch()

    if command == "make template-update":
        # It refuses to run with what earlier commands have changed.
        project.run("git", "stash", "--include-untracked")

    project.run_ok("bash", "-c", command, **variables)


@pytest.mark.slow
def test_list_of_many_projects_has_their_versions(project, tmp_path):
    page = (TEMPLATE / "docs/update.md").read_text()
    command = next(it for it in commands_of(page) if it.startswith("for project in"))
    (tmp_path / "shop").symlink_to(project.path)
    programs = tmp_path / ".programs"
    programs.mkdir()
    # A stand-in for jq, which shows what it gets
    (programs / "jq").write_text(
        '#!/bin/sh\npython3 -c "import json, sys; print(json.load(sys.stdin))"\n'
    )
    (programs / "jq").chmod(0o755)

    path = f"{programs}:{os.environ['PATH']}"
    done = project.run("bash", "-c", f"cd {tmp_path} && {command}", PATH=path)

    assert done.returncode == 0, done.stdout
    assert "'version': 'v1.0.0'" in done.stdout
