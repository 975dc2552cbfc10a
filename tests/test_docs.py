"""The documentation agrees with the template, and its commands work."""

import re

import pytest
from options import QUESTIONS, REDIS_STATES, TEMPLATE, choices

PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]

# The commands of the delivered pages that another file runs.
ELSEWHERE = {
    "make ci",  # test_generated.py
    "make newest",  # test_nightly.py
    "make dev",  # test_dev.py, as the next two
    "make manage ARGS=createsuperuser",
    "make worker",
    "make help",
    "make audit",  # test_pipeline_runs.py
    "uvx copier update",  # test_copier.py
}
DELIVERED = "".join(
    (TEMPLATE / "template" / name).read_text()
    for name in ("README.md.jinja", "docs/pipeline.md.jinja")
)


def commands(text):
    """Return the commands of a page: lines of console blocks, and those in its text."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0].strip() for line in "".join(blocks).splitlines()]
    return {*lines, *re.findall(r"`((?:make|uvx|python) [^`]+)`", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_questions_are_those_of_copier_yml():
    page = (TEMPLATE / "docs" / "questions.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", page, re.MULTILINE)

    assert [name for name, _, _ in rows] == list(QUESTIONS)
    for name, offered, default in rows:
        if "choices" in QUESTIONS[name]:
            assert offered.split(", ") == choices(name)
        stated = str(QUESTIONS[name]["default"])
        assert default in (stated, stated.lower(), "from the name", "a sentence")


def test_targets_that_the_pages_name_exist():
    makefiles = [TEMPLATE / "Makefile", TEMPLATE / "template" / "Makefile.jinja"]
    text = "".join(makefile.read_text() for makefile in makefiles)
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", page.read_text(), re.M)
        assert {a or b for a, b in named} <= targets, page.name


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module(**REDIS_STATES["redis-celery-channels"])
    project.commit()
    done = project.make("setup")
    assert done.returncode == 0, done.stdout
    return project


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(commands(DELIVERED) - ELSEWHERE))
def test_a_command_of_the_delivered_pages_works(project, command):
    if command.startswith("python manage.py"):
        # In production the environment is there; here make brings it.
        command = command.replace("python manage.py ", "make manage ARGS=")
        project.make("manage", "ARGS=migrate")

    done = project.run("bash", "-c", command)

    assert done.returncode == 0, done.stdout
