"""The form of CHANGELOG.md: a section for each release, newest first.

docs/releasing.md shows one.
"""

import itertools
import re

from packaging.version import Version

UNRELEASED = "Unreleased"
ACTION = "What you must do"
NOTES = ("Added", "Changed", "Fixed", "Removed")
NOTHING = "Nothing."
VERSION = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}((a|b|rc)(0|[1-9]\d*))?")
TITLE = re.compile(rf"(?P<version>{VERSION.pattern}) \((?P<date>\d{{4}}-\d\d-\d\d)\)")


def sections(text):
    """Return the sections by their titles, in their order. Of equal titles, the last counts."""
    _, *parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def parts_of(section):
    """Return the headings of a section, each with its text."""
    _, *parts = re.split(r"^### (.*)\n", section, flags=re.MULTILINE)
    return [
        (name, text.strip()) for name, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def find_faults(text):
    """Return what is wrong with a changelog, as sentences."""
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    releases = titles[1:] if titles[:1] == [UNRELEASED] else titles
    faults = [
        f"{title}: write the title of a release as 1.0.0 (2026-11-30)."
        for title in releases
        if not TITLE.fullmatch(title)
    ]
    if not faults:
        found = [TITLE.fullmatch(title) for title in releases]
        faults = [
            f"{newer[0]} cannot be above {older[0]}: the newest release comes first."
            for newer, older in itertools.pairwise(found)
            if Version(newer["version"]) <= Version(older["version"])
            or newer["date"] < older["date"]
        ]
    for title, section in sections(text).items():
        faults += [f"{title}: {fault}" for fault in faults_of(section)]
    return faults


def changed_releases(text, released):
    """Return the titles of the releases whose section was another in an earlier changelog."""
    now = sections(text)
    return [
        title
        for title, section in sections(released).items()
        if title != UNRELEASED and now.get(title, "").strip() != section.strip()
    ]


def faults_of(section):
    """Return what is wrong with the section of a release, as sentences."""
    parts = parts_of(section)
    names = [name for name, _ in parts]
    faults = []
    if names[:1] != [ACTION]:
        faults.append(
            f"begin with “### {ACTION}”, and write {NOTHING} if there is none."
        )
    if not set(names) & set(NOTES):
        faults.append(f"list what is new under one of {', '.join(NOTES)}.")
    if unknown := set(names) - {ACTION, *NOTES}:
        faults.append(f"remove the headings {', '.join(sorted(unknown))}.")
    if len(names) > len(set(names)):
        faults.append("write each heading once.")
    for name, text in parts:
        is_nothing = name == ACTION and text == NOTHING
        first, *groups = re.split(r"^#### .*\n", text, flags=re.MULTILINE)
        lists = [first, *groups] if first or not groups else groups
        if not is_nothing and not all(it.strip().startswith("- ") for it in lists):
            faults.append(f"write the entries under “{name}” as a list.")
    return faults
