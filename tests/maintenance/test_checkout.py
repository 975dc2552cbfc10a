"""The targets of this repository's Makefile work in a checkout."""

import shutil
import sys

import pytest

from tests.maintenance.website import mermaid
from tests.support.machine import find_chromium
from tests.support.node import TOOLS
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.seconds(20)]
A_FEW = "ARGS=tests/test_rooms.py"


@pytest.fixture(scope="module")
def checkout(template, tmp_path_factory):
    """Return a checkout of the template, with the environment and the tools of this one."""
    folder = tmp_path_factory.mktemp("checkout") / "slipway"
    checkout = Project(shutil.copytree(template, folder))
    checkout.commit()
    (checkout / ".git/info/exclude").write_text("/.venv\n/.tools\n")
    TOOLS.mkdir(exist_ok=True)
    (checkout / ".venv").symlink_to(sys.prefix)
    (checkout / ".tools").symlink_to(TOOLS)
    return checkout


def test_make_lint_finds_no_defect(checkout):
    assert "All checks passed!" in checkout.make_ok("setup", "lint").stdout


@pytest.mark.parametrize("target", ["test", "test-fast"])
def test_make_runs_the_requested_tests(checkout, target):
    done = checkout.make_ok(target, "FRESH=1", "SHARD=1/2", A_FEW)

    assert " 3 passed in " in done.stdout


def test_make_test_update_finds_its_tests(checkout):
    done = checkout.make_ok("test-update", "RUNS=1", "ARGS=--collect-only --quiet")

    for name in ("random", "kills", "year"):
        assert f"tests/updating/test_{name}.py::" in done.stdout


def test_make_docs_builds_the_website(checkout):
    mermaid()  # Only this process has the user's settings of npm.
    checkout.make_ok("docs")

    assert checkout.has(".cache/site/index.html")
    assert checkout.run("git", "status", "--porcelain").stdout == ""


def test_make_picture_takes_one_of_the_start_page(checkout):
    find_chromium()
    picture = checkout / "docs/start-page.png"
    picture.unlink()

    checkout.make_ok("start-page", "picture", "ADDRESS=https://example.com/slipway.git")

    assert "https://example.com" in checkout.read(".cache/start-page/index.html")
    assert picture.exists()
