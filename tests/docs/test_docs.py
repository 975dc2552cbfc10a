"""The documentation agrees with the template, and its commands work."""

import ast
import re
import shutil

import pytest
import yaml

from tests.deployment.platforms import platform_of
from tests.support.machine import give_up
from tests.support.options import FULL, TEMPLATE, combinations
from tests.support.project import Project

PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]

# Commands of the generated pages that other tests run
ELSEWHERE = {
    "make ci",  # test_generated.py
    "make newest",  # test_nightly.py
    "make e2e",  # test_e2e.py, as the next two
    "make e2e URL={{ staging_url }}",
    'make e2e URL=" ~ staging_url ~ "',
    "make browser",  # It downloads Chromium.
    "make template-bundle",  # test_runs.py, as the next one
    "make template-request",
    "make dev",  # test_dev.py, as the next four
    "make dev PORT=8001",
    "make manage ARGS=createsuperuser",
    "make worker",
    "make beat",
    "make services",
    "make startapp NAME=blog",  # test_startapp.py
    "make help",
    "make publish",  # test_publish.py
    # These need a registry with an image.
    "docker buildx imagetools inspect IMAGE:COMMIT --format '{{ \"{{ json .Provenance }}\" }}'",
    "docker buildx imagetools inspect IMAGE:COMMIT --format '{{ \"{{ json .SBOM }}\" }}'",
    "make deploy",  # test_sequence.py, as the next two
    "make deploy ENVIRONMENT=staging",
    "make rollback",
    "make smoke",  # test_smoke.py
    "make tools",  # test_tools.py
    "make image",  # test_image.py, as the next five
    "docker compose up --build",
    "docker compose run --rm test",
    "docker compose run --rm test pytest --no-cov -k health",
    "docker compose run --rm web python manage.py makemigrations",
    "docker compose --profile production up --build proxy",
    "make audit",  # test_runs.py
    "uvx copier update",  # test_copier.py
    "gunicorn --config config/gunicorn.py",  # test_server.py, as the next three
    "celery --quiet --app config worker",
    "celery --quiet --app config beat --schedule /tmp/beat",
    "python manage.py collectstatic --noinput",
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
DEPLOYMENT = r"make tools|make (deploy|rollback)( ENVIRONMENT=(staging|production))?( RELEASE=0123abcd)?( SKIP_STAGING=yes( IMAGE=\S+)?)?|make smoke URL=https\S+"


def commands(text):
    """Return the commands of a page: lines of console blocks, and those in its text."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    text_of_blocks = re.sub(r"{%.*%}\n", "", "".join(blocks))
    lines = [line.partition("#")[0].strip() for line in text_of_blocks.splitlines()]
    return {*lines, *re.findall(r"`((?:make|uvx|python) [^`]+)`", text)} - {""}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATE))
)
def test_links_lead_to_existing_files(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


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
    found = commands(page) | set(re.findall(f"`({platform.tool} [^`]+)`", page))

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
@pytest.mark.parametrize("command", sorted(commands(GENERATED) - ELSEWHERE))
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
