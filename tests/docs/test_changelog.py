"""The changelog lists, for each release, first what its users must do, then what is new."""

import subprocess

import pytest

from tests.support.changelog import changed_releases, find_faults
from tests.support.options import TEMPLATE

PAGE = (TEMPLATE / "CHANGELOG.md").read_text()
EXAMPLE = """\
# Changelog

## Unreleased

An introduction.

### What you must do

Nothing.

### Fixed

- A fault.

## 1.1.0 (2026-12-24)

### What you must do

- Run a command.

### Added

- A question.

## 1.0.0 (2026-11-30)

### What you must do

Nothing.

### Added

- Everything.
"""


def git(*arguments):
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=TEMPLATE, check=True, capture_output=True, text=True
    ).stdout


def test_changelog_has_the_form_of_a_release():
    assert find_faults(PAGE) == []


def test_section_of_a_release_stays_as_it_was_released():
    # A change that was merged after a release may be in its section.
    for tag in git("tag", "--list", "v*", "--merged").splitlines():
        assert changed_releases(PAGE, git("show", f"{tag}:CHANGELOG.md")) == [], tag


def test_example_has_the_form_of_a_release():
    assert find_faults(EXAMPLE) == []


def test_entries_may_be_grouped_by_whom_they_concern():
    groups = "#### Everyone\n\n- Do it.\n\n#### Redis\n\n- Run a command."
    assert find_faults(EXAMPLE.replace("- Run a command.", groups)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("## 1.1.0 (2026-12-24)", "## 1.1.0", "1.1.0: write the title"),
        ("## 1.1.0 (", "## v1.1.0 (", "v1.1.0 (2026-12-24): write the title"),
        ("## 1.1.0 (", "## 0.9.0 (", "0.9.0 (2026-12-24) cannot be above 1.0.0"),
        ("2026-12-24", "2026-11-29", "1.1.0 (2026-11-29) cannot be above 1.0.0"),
        ("## Unreleased\n", "## 1.1.0 (2026-12-25)\n", "cannot be above"),
        ("### Fixed", "### Repaired", "Unreleased: list what is new under one of"),
        ("### Fixed", "### Repaired", "Unreleased: remove the headings Repaired."),
        (
            "### Added\n\n- A q",
            "### What you must do\n\n- A q",
            "1.1.0 (2026-12-24): write each",
        ),
        ("- A fault.", "A fault.", "write the entries under “Fixed” as a list."),
        ("- Run", "Run", "write the entries under “What you must do” as a list."),
        ("- Run", "#### Redis\n\nRun", "write the entries under “What you must do”"),
        (
            "- Run",
            "- Do it.\n\n#### Redis\n\n#### Celery\n\n- Run",
            "write the entries",
        ),
        ("### What you must do\n\n- Run a command.\n\n", "", "begin with “### What"),
    ],
)
def test_other_form_of_a_section_is_found(old, new, fault):
    assert EXAMPLE.count(old) == 1
    faults = find_faults(EXAMPLE.replace(old, new))
    assert any(fault in it for it in faults), faults


def test_unreleased_section_below_a_release_is_found():
    first, second = "## Unreleased\n", "## 1.1.0 (2026-12-24)\n"
    swapped = EXAMPLE.replace(second, "SECOND").replace(first, second)
    assert find_faults(swapped.replace("SECOND", first)) == [
        "Unreleased: write the title of a release as 1.0.0 (2026-11-30)."
    ]


def test_entry_that_a_merge_adds_to_a_release_is_found():
    merged = EXAMPLE.replace("- A question.\n", "- A question.\n- A late change.\n")
    assert changed_releases(merged, EXAMPLE) == ["1.1.0 (2026-12-24)"]
    assert (
        changed_releases(EXAMPLE.replace("- A fault", "- An old fault"), EXAMPLE) == []
    )
