"""The page about deployment cases names a test that exists for each of them."""

import re

import pytest

from tests.docs.pages import functions
from tests.support.options import TEMPLATE

PAGE = (TEMPLATE / "docs/deployment-cases.md").read_text()
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (?!---|Case )", line)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0][2:])
def test_each_case_names_its_tests(row):
    case, outcome, tests = row.strip("| ").split(" | ")

    assert case
    assert outcome
    named = TEST.findall(tests)
    assert len(named) == tests.count("`") / 2 > 0
    for path, name in named:
        assert name in functions(path)


def test_page_has_cases_of_each_kind():
    sections = PAGE.split("\n## ")[1:]

    assert all(len(section.splitlines()) > 5 for section in sections)
    assert len(ROWS) > 40
