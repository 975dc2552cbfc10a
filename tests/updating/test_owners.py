"""Each file of a project has one owner: the template, the team, or both of them.

The team owns the files that only a copy writes, and a line `# Yours` shows that both own one.
"""

import json
import re
import runpy
from fnmatch import fnmatch

import jinja2
import pytest

from tests.support.contents import contents, fail_for
from tests.support.options import CONFIGURATION
from tests.updating.small import SCRIPT

TEMPLATE = runpy.run_path(str(SCRIPT))


def excluded(operation):
    """Return the patterns of `_exclude` without answers."""
    text = "\n".join(CONFIGURATION["_exclude"])
    rendered = jinja2.Template(text).render(_copier_operation=operation)
    return {line.strip() for line in rendered.splitlines()}


ONCE = excluded("update") - excluded("copy")


def is_teams(path):
    return any(fnmatch(f"/{path}", pattern) for pattern in ONCE)


def is_of_both(content):
    return bool(TEMPLATE["YOURS"].search(content.text.encode()))


@pytest.fixture(scope="module")
def files(every_project):
    """Return the distinct contents of all projects, and their owners."""
    return contents(every_project)


def test_each_file_has_one_owner(files):
    found = {it: ["both"] for it in files if is_teams(it.path) and is_of_both(it)}
    fail_for(found, files)

    owners = {True: set(), False: set()}
    for it in files:
        owners[is_of_both(it)].add(it.path)
    assert not owners[True] & owners[False]


def test_update_leaves_the_files_of_the_team(files):
    assert {it.path for it in files if is_teams(it.path)} == {*TEMPLATE["LOCKS"]}


def test_renovate_changes_only_files_of_the_team(rendered):
    project = rendered()
    settings = json.loads(project.read("renovate.json"))
    patterns = [
        pattern.strip("/")
        for manager in settings["enabledManagers"]
        for pattern in settings[manager]["managerFilePatterns"]
    ]

    changed = {it for it in project.files() for p in patterns if re.search(p, it)}

    assert changed
    assert all(map(is_teams, changed))
