"""Each command in the pages of this repository is run by a test, or stated not to be."""

import re

import pytest

from tests.docs.pages import commands_of
from tests.support.options import TEMPLATE

PAGES = [TEMPLATE / "README.md", *sorted((TEMPLATE / "docs").glob("*.md"))]
COMMANDS = sorted(set().union(*(commands_of(page.read_text()) for page in PAGES)))
# The file that runs the commands of a pattern, and how it does
RUN_BY = {
    # In a checkout of the template
    "make (test|setup)( .*)?": (".ci/run", "make test"),
    "make test-fast( .*)?": ("tests/journeys/test_contributor.py", "make test-fast"),
    "make docs": ("tests/maintenance/test_website.py", "website.build("),
    "make new( .*)?": ("tests/rendering/test_conversation.py", '"new", *options'),
    "make release( VERSION=.*)?": (
        "tests/maintenance/test_release.py",
        '.make("release"',
    ),
    "make release-diff.*": (
        "tests/maintenance/test_release_diff.py",
        '"make", "release-diff"',
    ),
    "make start-page.*": (
        "tests/page/test_page.py",
        "from start_page.build import main",
    ),
    "make test-update .*": ("tests/updating/test_random.py", 'environ.get("RUNS")'),
    r"\.\./slipway/\.venv/bin/python .*": ("tests/updating/small.py", "SCRIPT"),
    "uvx copier (copy|update).*": ("tests/rendering/test_copier.py", "*COPIER,"),
    # In a project
    "make (ci|lint)( VERBOSE=1)?": ("tests/running/test_generated.py", 'make_ok("ci")'),
    "make dev": ("tests/running/test_dev.py", '"dev"'),
    "make (worker|beat)": ("tests/running/test_dev.py", '"worker"'),
    "make check-migrations": (
        "tests/running/test_new_migrations.py",
        '"check-migrations"',
    ),
    "make (wait|newest)": ("tests/running/test_nightly.py", '"wait"'),
    "make lock( .*)?": ("tests/running/test_requirements.py", '"lock"'),
    "make e2e": ("tests/running/test_e2e.py", '"e2e"'),
    "make image": ("tests/image/test_image.py", '"image"'),
    "make publish": ("tests/image/test_publish.py", '"publish"'),
    "make (deploy|rollback)( .*)?": ("tests/deployment/test_sequence.py", '"rollback"'),
    "make smoke( .*)?": ("tests/deployment/test_sequence.py", '"smoke"'),
    "make tools": ("tests/deployment/test_tools.py", '"tools"'),
    "make template-(status|diff|update)( .*)?": (
        "tests/docs/test_docs.py",
        "make template-update",
    ),
    "python manage.py (healthcheck|migrate)": (
        "tests/running/test_migrate.py",
        "migrate",
    ),
    "for project in .*": ("tests/docs/test_docs.py", "test_list_of_many_projects"),
    r"cd \.\./.*": ("tests/docs/test_commands.py", "cd"),
}
# They take minutes, or write into this checkout.
NOT_RUN = "make (bench( ARGS=suite)?|picture|session)"


def runners(command):
    return [it for pattern, it in RUN_BY.items() if re.fullmatch(pattern, command)]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_run_by_a_test(command):
    assert len(runners(command)) == 1 - bool(re.fullmatch(NOT_RUN, command))


@pytest.mark.parametrize("pattern", RUN_BY)
def test_file_runs_its_commands(pattern):
    name, evidence = RUN_BY[pattern]

    assert evidence in (TEMPLATE / name).read_text()
    assert any(re.fullmatch(pattern, command) for command in COMMANDS)
