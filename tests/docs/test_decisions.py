"""The pages of this repository, decisions among them, name files that exist."""

import functools
import re

import pytest

from tests.support.braces import expand
from tests.support.options import TEMPLATE, choices
from tests.support.tracked import tracked

PAGES = [
    TEMPLATE / "README.md",
    *sorted((TEMPLATE / "docs").rglob("*.md")),
]
DECISIONS = sorted((TEMPLATE / "docs/decisions").iterdir())
# Files that are neither ours nor the generated project's: other tools', or made by a run;
# and images.
OTHERS = {
    ".cache",
    ".cache/site/index.html",
    ".cache/start-page",
    ".git/config",
    ".services",
    ".tools/bin",
    "cimg/postgres",
    "cimg/python",
    "docker.io/team/name",
    "gunicorn.conf.py",
    "pylock.toml",
    "reports",
    "reports/exit-code",
    "reports/image.json",
    "reports/staging.json",
}
RAW = re.compile(r"{%-? *raw\b")
A_FILE = re.compile(r"[\w.-]+/[\w./<>-]*|[\w-]+\.(?:py|md|toml|ya?ml|jinja|txt)")


def text_of(name):
    return (TEMPLATE / name).read_text(errors="replace")


def parts(path):
    """Return each run of folders and file names inside a path."""
    names = path.split("/")
    return {
        "/".join(names[begin:end])
        for begin in range(len(names))
        for end in range(begin + 1, len(names) + 1)
    }


@functools.cache
def known():
    """Return every path, whole or in part, of the repository and of its projects."""
    names = set(tracked())
    names |= {name.removesuffix(".jinja") for name in names}
    return set().union(*map(parts, names))


def spellings(name):
    """Return the paths that a name can mean, with a target or a command line in it."""
    name = name.replace("<cli>", "flyctl")
    return {name.replace("<target>", target) for target in choices("deploy_target")}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATE))
)
def test_a_page_names_files_that_exist(page):
    named = {
        word.strip("/")
        for text in re.findall(r"`([^`\s]+)`", page.read_text())
        for word in expand(text)
        if A_FILE.fullmatch(word)
    } - OTHERS

    assert {name for name in named if not spellings(name) & known()} == set()


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(path.name.partition("-")[0]) for path in DECISIONS]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name)
def test_a_decision_has_its_number_and_a_date(path):
    title, _, date, *_ = path.read_text().splitlines()

    assert title.startswith(f"# {int(path.name.partition('-')[0])}. ")
    assert re.match(r"\d{4}-\d\d-\d\d", date)


def test_no_file_of_the_template_needs_a_raw_block():
    # Decision 1
    raw = [it for it in tracked("template", "extensions") if RAW.search(text_of(it))]

    assert raw == []
