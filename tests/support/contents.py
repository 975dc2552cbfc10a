"""The distinct contents of many projects. Each is judged once, for all that have it."""

import json
from collections import defaultdict
from dataclasses import dataclass

import pytest

from tests.support.rendering import renders
from tests.support.verdicts import each


@dataclass(frozen=True)
class Content:
    """A file as some projects have it: its path in them, and the hash of its bytes."""

    path: str
    hash: str

    @property
    def text(self):
        return renders.content(self.hash).decode()


def contents(projects, *patterns):
    """Return each distinct content, with the names of the projects that have it.

    `projects` has rendered projects by name. With patterns, only paths that end in one of
    them count.
    """
    found = defaultdict(list)
    for name, project in projects.items():
        for path, (content, _) in project.tree.items():
            if path.endswith(patterns or ""):
                found[Content(path, content)].append(name)
    return dict(found)


def refuse(kind, owners, parts, judge):
    """Judge contents, or what else is equal in several projects; fail for findings.

    `owners` has the names of the projects of each item. `parts` is a function: what the
    verdict on an item depends on. `judge` gets a list of items, and returns the findings
    of each. The failure names the projects of each item that has a finding.
    """
    items = {item: parts(item) for item in owners}
    fail_for(each(kind, items, judge), owners)


def check_each(projects, key, check, code):
    """Run a check, which raises AssertionError, once for all projects with an equal key.

    `key` and `check` are functions of the name of a project and the project. The key is
    everything that the check depends on, next to its `code`.
    """
    owners = defaultdict(list)
    for name, project in projects.items():
        owners[json.dumps(key(name, project), sort_keys=True)].append(name)

    def judge(keys):
        return {it: errors(check, owners[it][0], projects) for it in keys}

    refuse(check.__name__, owners, lambda key: [key, code], judge)


def errors(check, name, projects):
    """Return what a check finds in a project."""
    try:
        check(name, projects[name])
    except AssertionError as error:
        return [str(error)]
    return []


def fail_for(findings, owners):
    """Fail if there are findings, and name the projects that each of them concerns."""
    concerned = defaultdict(set)
    for item, found in findings.items():
        for finding in found:
            concerned[describe(item) + finding].update(owners[item])
    lines = [
        f"{finding}\n  in {len(names)}: {' '.join(sorted(names))}"
        for finding, names in concerned.items()
    ]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def describe(item):
    """Return the path of a content, or nothing for another item."""
    content = item[0] if isinstance(item, tuple) and len(item) == 2 else item
    return f"{content.path}: " if isinstance(content, Content) else ""
