"""The documentation agrees with the template, and its commands work."""

import ast
import os
import re
import shutil

import pytest
import yaml

from tests.deployment.platforms import platform_of
from tests.docs.pages import Page, commands_of
from tests.support.machine import give_up
from tests.support.options import FULL, TEMPLATE, combinations
from tests.support.project import Project

PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]

# Commands of the generated pages that other tests run, with a word that they have
ELSEWHERE = {
    "make ci": ("running/test_generated.py", "ci"),
    "make newest": ("running/test_nightly.py", "newest"),
    "make e2e": ("running/test_e2e.py", "e2e"),
    "make e2e URL={{ staging_url }}": ("running/test_e2e.py", "URL"),
    'make e2e URL=" ~ staging_url ~ "': ("running/test_e2e.py", "URL"),
    "make browser": ("pipelines/test_runs.py", "browser"),
    "make template-bundle": ("pipelines/test_runs.py", "template-update"),
    "make template-request": ("pipelines/test_runs.py", "template-request"),
    "make dev": ("running/test_dev.py", "dev"),
    "make dev PORT=8001": ("running/test_dev.py", "PORT"),
    "make manage ARGS=createsuperuser": ("running/test_dev.py", "createsuperuser"),
    "make worker": ("running/test_dev.py", "worker"),
    "make beat": ("running/test_dev.py", "beat"),
    "make services": ("running/test_services.py", "services"),
    "make startapp NAME=blog": ("running/test_startapp.py", "startapp"),
    "make help": ("running/test_dev.py", "help"),
    "make publish": ("image/test_publish.py", "publish"),
    "make deploy": ("deployment/test_sequence.py", "deploy"),
    "make deploy ENVIRONMENT=staging": ("deployment/test_sequence.py", "deploy"),
    "make rollback": ("deployment/test_sequence.py", "rollback"),
    "make smoke RELEASE=HEAD": ("deployment/test_sequence.py", "RELEASE=HEAD"),
    "make tools": ("deployment/test_tools.py", "tools"),
    "make image": ("image/test_image.py", "image"),
    "make audit": ("pipelines/test_runs.py", "audit"),
    "gunicorn --config config/gunicorn.py": ("running/test_server.py", "gunicorn"),
    "celery --quiet --app config worker": ("running/test_worker.py", "worker"),
    "celery --quiet --app config beat --schedule /tmp/beat": (
        "running/test_worker.py",
        "beat",
    ),
    "python manage.py collectstatic --noinput": (
        "running/test_server.py",
        "collectstatic",
    ),
}
# Commands that no test runs
NOT_RUN = {
    # These need a registry with an image.
    *(
        "docker buildx imagetools inspect IMAGE:COMMIT --format"
        f" '{{{{ \"{{{{ json .{part} }}}}\" }}}}'"
        for part in ("Provenance", "SBOM")
    ),
    # These need Compose. tests/image/test_files.py checks its file, and test_image.py runs
    # the command and the variables of its service for production.
    "docker compose up --build",
    "docker compose run --rm test",
    "docker compose run --rm test pytest --no-cov -k health",
    "docker compose run --rm web python manage.py makemigrations",
    "docker compose --profile production up --build proxy",
}
GENERATED = "".join(
    path.read_text()
    for path in (
        TEMPLATE / "template" / "README.md.jinja",
        TEMPLATE / "template" / "AGENTS.md.jinja",
        TEMPLATE / "template" / "docs" / "development.md.jinja",
        TEMPLATE / "template" / "docs" / "migrations.md.jinja",
        TEMPLATE / "extensions" / "pages" / "pipeline.md",
        *(TEMPLATE / "extensions" / "pages" / "pipeline").iterdir(),
    )
)
# test_sequence.py, test_smoke.py and test_tools.py run these.
DEPLOYMENT = r"make tools|make (deploy|rollback)( ENVIRONMENT=(staging|production))?( RELEASE=0123abcd)?( SKIP_STAGING=yes( IMAGE=\S+)?)?|make smoke URL=https\S+|make template-update ARGS=\"-d staging_app=NAME\""


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

    for command in found - {
        "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
    }:
        if not re.fullmatch(DEPLOYMENT, command):
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


def test_commands_that_no_test_runs_are_documented():
    assert commands_of(GENERATED) >= NOT_RUN


@pytest.mark.parametrize("command", ELSEWHERE)
def test_other_file_runs_the_command(command):
    name, word = ELSEWHERE[command]

    assert command in commands_of(GENERATED)
    assert re.search(rf"\b{word}\b", (TEMPLATE / "tests" / name).read_text())


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
    return project.installed()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", sorted(commands_of(GENERATED) - ELSEWHERE.keys() - NOT_RUN)
)
def test_commands_of_the_generated_pages_work(project, command):
    if command.startswith("python manage.py"):
        # In production the environment is active; here make activates it.
        command = command.replace("python manage.py ", "make manage ARGS=")
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

    project.run_ok("bash", "-c", command)


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
