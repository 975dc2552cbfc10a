"""The pages of a generated project name what the project has, in every combination."""

import functools
import os
import re

from tests.docs.pages import Page
from tests.support.rendering import renders

# What a run makes, what the page tells to make, and images
OTHERS = {
    ".cache/deploy.log",
    ".services",
    ".tools/bin",
    ".venv/bin/pytest",
    ".venv/bin/python",
    ".vscode/launch.json",
    "apps/blog",
    "apps/blog/models.py",
    "deploy/dump.sh",
    "docker.io/team/name",
    "ghcr.io/team/name",
    "linux/amd64",
    "linux/arm64",
    "locale/de/LC_MESSAGES/django.po",
    "media",
    "registry.example.com/team/name",
    "reports/e2e",
    "reports/exit-code",
    "reports/image.json",
    "reports/newest.txt",
    "reports/staging.json",
    "reports/template.bundle",
    "tests.py",
}


@functools.cache
def page_of(content):
    """Return the page with this hash: several projects have it."""
    return Page(renders.content(content).decode())


@functools.cache
def targets_of(content):
    """Return the targets of the Makefile with this hash."""
    text = renders.content(content).decode()
    return set(re.findall(r"^([a-z0-9-]+):", text, re.MULTILINE))


@functools.cache
def places(files):
    """Return each file and folder, also by the end of its path."""
    found = set()
    for name in files:
        parts = name.split("/")
        found |= {
            "/".join(parts[begin:end])
            for begin in range(len(parts))
            for end in range(begin + 1, len(parts) + 1)
        }
    return found


def faults(tree):
    """Yield each name in the pages of a project that the project does not have."""
    pages = {name: page_of(tree[name][0]) for name in tree if name.endswith(".md")}
    targets = targets_of(tree["Makefile"][0])
    known = places(tuple(tree))
    for name, page in pages.items():
        for path, wanted in page.links:
            folder = os.path.dirname(name)
            target = os.path.normpath(os.path.join(folder, path)) if path else name
            if target not in tree:
                yield f"{name} has a link to {path}"
            elif wanted and wanted not in pages[target].anchors:
                yield f"{name} has a link to {path}#{wanted}"
        yield from (f"{name} names make {it}" for it in page.targets - targets)
        yield from (f"{name} names {it}" for it in page.files - OTHERS - known)


def test_pages_name_what_their_project_has(every_pipeline):
    found = {}
    for name, project in every_pipeline.items():
        for fault in faults(project.tree):
            found.setdefault(fault, name)

    assert found == {}


def test_faults_of_a_page_are_found(rendered, monkeypatch):
    tree = rendered().tree | {"NOTES.md": ["NOTES", 0o644]}
    text = "[x](no.md) [x](docs/pipeline.md#no) `make no` `make deploy` `deploy/run.py`"
    known = page_of.__wrapped__
    pages = {"NOTES": Page(text)}
    monkeypatch.setattr(
        f"{__name__}.page_of", lambda content: pages.get(content) or known(content)
    )

    assert sorted(faults(tree)) == [
        "NOTES.md has a link to docs/pipeline.md#no",
        "NOTES.md has a link to no.md",
        "NOTES.md names deploy/run.py",
        "NOTES.md names make deploy",
        "NOTES.md names make no",
    ]
