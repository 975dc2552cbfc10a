"""The page for contributors shows the repository as it is."""

import re

import pytest

from tests.support.braces import expand
from tests.support.options import TEMPLATE
from tests.support.rooms import ROOMS
from tests.support.tracked import tracked

PAGE = (TEMPLATE / "docs/contribute.md").read_text()
DIAGRAMS = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
# What to touch to add a thing that is like an existing one. The target's row is held by
# tests/rendering/test_new_target.py.
ROWS = {
    example: {
        name
        for pattern in re.findall(r"`([^`]+\.[^`]+)`", files)
        for name in expand(pattern)
    }
    for example, files in re.findall(
        r"^\| an? .*, like `([^<`]+)` \| (.*) \|$", PAGE, re.M
    )
}
IMPORT = re.compile(
    r"^from tests.support.machine import .*\b(give_up|find_chromium)\b", re.MULTILINE
)
# Pages that only mention what others contain
ASIDE = [
    "CHANGELOG.md",
    "README.md",
    "docs/claims.md",
    "docs/comparison.md",
    "docs/contribute.md",
    "docs/decisions",
    "docs/deployment-cases.md",
    "docs/speed.md",
    "docs/troubleshooting.md",
    "docs/update.md",
]


def test_the_diagram_draws_the_imports_of_the_rooms():
    arrows = re.findall(r"^  (\w+) --> (.*)$", DIAGRAMS[1], re.MULTILINE)
    drawn = {name: sorted(others.split(" & ")) for name, others in arrows}

    assert drawn | {"support": []} == ROOMS


def test_the_table_describes_each_room():
    described = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)

    assert sorted(described) == sorted(ROOMS)


def test_the_walk_names_files_with_the_words_it_shows():
    labels = re.findall(r'\["(\S+)<br>([^"]*)"\]', DIAGRAMS[0])
    files = [(name.rstrip(","), words) for name, words in labels if "." in name]

    assert len(files) > 5
    for name, words in files:
        named = re.findall(r"[\w./]+\w", words)
        text = (TEMPLATE / name).read_text()
        assert any(word in text for word in named), name


def test_the_table_has_rows():
    assert len(ROWS) >= 6


@pytest.mark.parametrize("example", ROWS)
def test_a_row_lists_each_file_that_names_its_example(example):
    pattern = re.compile(rf"(?<![\w-]){example}(?!\w)", re.IGNORECASE)
    naming = {
        name
        for name in tracked(*[f":!{name}" for name in ASIDE])
        if pattern.search(name)
        or pattern.search((TEMPLATE / name).read_text(errors="replace"))
    }

    assert naming == ROWS[example]


def test_the_page_lists_the_tests_that_need_a_program():
    section = PAGE.partition("| Program |")[2].partition("\n\n")[0]
    giving_up = {
        name
        for name in tracked("tests/*/test_*.py", "tests/*/conftest.py")
        if IMPORT.search((TEMPLATE / name).read_text())
    }

    assert set(re.findall("`(tests/.*?)`", section)) == giving_up
