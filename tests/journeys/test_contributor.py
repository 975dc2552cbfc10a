"""A contributor: from a clone to `make test-fast`, and to a test that fails for a change."""

import re

import pytest

from tests.support.options import QUESTIONS, TEMPLATE
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.seconds(40)]
PAGE = (TEMPLATE / "docs/contribute.md").read_text()


def test_contributor_sees_the_test_of_a_change_fail(slipway, shell, tmp_path):
    clone = Project(tmp_path / "home/slipway")
    terminal = shell()
    test_fast = re.search("`(make test-fast ARGS=[^`]+)`", PAGE)[1]
    terminal.ok(f"git clone --quiet {slipway.path} slipway")
    terminal.ok("cd slipway")
    before = terminal.ok(test_fast)

    question = QUESTIONS["author_name"]["help"]
    clone.edit("copier.yml", question, 80 * "x" + "?")
    code, after = terminal.run(test_fast)

    count = int(re.search(r" (\d+) passed in ", before)[1])
    assert count >= len(QUESTIONS)
    assert code == 2
    assert f" 1 failed, {count - 1} passed in " in after
    assert "test_question_fits_a_terminal_of_80_columns[author_name]" in after
    assert clone.run("git", "status", "--porcelain").stdout == " M copier.yml\n"
