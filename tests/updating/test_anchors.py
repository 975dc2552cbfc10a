"""What a team adds at a line `# Yours` merges with every change of the template around it."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.support.contents import contents, refuse
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
YOURS = re.compile(r"^\W*Yours\b")
ANCHOR = re.compile(
    r" *(#|<!--|/\*|\{#) Yours: an update changes nothing (below this line|here)\.( -->| \*/| #\})?"
)
# The files that teams extend, and in how many places next to their end
EXTENDED = {
    ".circleci/config.yml": 2,
    ".dockerignore": 0,
    ".editorconfig": 0,
    ".env.example": 0,
    ".github/workflows/ci.yml": 0,
    ".github/workflows/nightly.yml": 0,
    ".gitignore": 0,
    ".gitlab-ci.yml": 1,
    ".pre-commit-config.yaml": 0,
    "AGENTS.md": 0,
    "Makefile": 0,
    "README.md": 0,
    "apps/users/admin.py": 0,
    "apps/users/consumers.py": 0,
    "apps/users/models.py": 0,
    "apps/users/tasks.py": 0,
    "compose.yaml": 2,
    "config/gunicorn.py": 0,
    "config/settings/base.py": 3,
    "config/settings/ci.py": 0,
    "config/settings/local.py": 0,
    "config/settings/production.py": 0,
    "config/urls.py": 1,
    "deploy/fly/production.toml": 2,
    "deploy/fly/staging.toml": 2,
    "deploy/kamal/deploy.production.yml": 1,
    "deploy/kamal/deploy.staging.yml": 1,
    "deploy/kamal/deploy.yml": 1,
    "deploy/kamal/secrets-common": 0,
    "deploy/kubernetes/base/network.yaml": 0,
    "deploy/kubernetes/production/kustomization.yaml": 2,
    "deploy/kubernetes/staging/kustomization.yaml": 2,
    "pyproject.toml": 3,
    "render.yaml": 2,
    "static/site.css": 0,
    "tests/conftest.py": 0,
    "tests/production.toml": 0,
}
# Only a place inside of each
EXTENDED_INSIDE = {
    "Dockerfile": 2,
    "config/routing.py": 1,
    "config/schedule.py": 1,
    "deploy/environments.toml": 2,
    "deploy/kubernetes/base/kustomization.yaml": 1,
    "templates/base.html": 1,
}


@pytest.fixture(scope="session")
def extended(every_project):
    """Return the distinct contents of the files with a line `# Yours`, and their owners."""
    found = contents(every_project)
    return {it: names for it, names in found.items() if anchors(it)}


def anchors(content):
    """Return the numbers of the lines that mark a place of the team."""
    return [n for n, line in enumerate(lines_of(content)) if YOURS.match(line)]


def lines_of(content):
    return content.text.splitlines()


def with_additions(content):
    """Return the lines of a content after a team has added to each of its places."""
    places = anchors(content)
    lines = lines_of(content)
    return [
        text
        for n, line in enumerate(lines)
        for text in ([line, f"added to {places.index(n)}"] if n in places else [line])
    ]


def merge(folder, *versions):
    """Return the lines of a merge: ours, the common version, theirs. None has conflicts."""
    names = ["ours", "old", "theirs"]
    for name, lines in zip(names, versions, strict=True):
        (folder / name).write_text("\n".join([*lines, ""]))
    command = ["git", "merge-file", "--stdout", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return None if done.returncode else done.stdout.splitlines()


def test_files_that_teams_extend_have_their_places(extended):
    found = defaultdict(set)
    for content in extended:
        places = [ANCHOR.fullmatch(lines_of(content)[n])[2] for n in anchors(content)]
        at_end = ["below this line"] * (content.path in EXTENDED)
        assert places[len(places) - len(at_end) :] == at_end, content.path
        inside = places[: len(places) - len(at_end)]
        assert set(inside) <= {"here"}, content.path
        if at_end:
            assert anchors(content)[-1] == len(lines_of(content)) - 1, content.path
        found[content.path].add(len(inside))

    assert {path: max(counts) for path, counts in found.items()} == (
        EXTENDED | EXTENDED_INSIDE
    )


def test_additions_merge_with_changes_of_the_lines_around(extended, tmp_path):
    def judge(items):
        found = {}
        for content in items:
            places = anchors(content)
            theirs = lines_of(content)
            around = {n for it in places for n in (it - 1, it + 2)} - {*places}
            for n in around & set(range(len(theirs))):
                theirs[n] = f"changed {n}"
            merged = merge(tmp_path, with_additions(content), lines_of(content), theirs)
            kept = merged and {f"added to {n}" for n in range(len(places))} <= {*merged}
            found[content] = [] if kept else ["conflicts, or lacks an addition"]
        return found

    refuse("anchor", extended, lambda it: [it.path, it.hash, CODE], judge)


def test_additions_merge_with_the_files_of_other_answers(extended, tmp_path):
    texts = defaultdict(list)
    for content in extended:
        # With a part of the file, its place comes and goes.
        texts[content.path, len(anchors(content))].append(content)
    owners = {
        (old, new): extended[old] + extended[new]
        for same in texts.values()
        for old, new in zip(same, [*same[1:], same[0]], strict=True)
        if old != new
    }

    def judge(pairs):
        found = {}
        for old, new in pairs:
            merged = merge(tmp_path, with_additions(old), lines_of(old), lines_of(new))
            good = merged == with_additions(new)
            found[old, new] = [] if good else [f"{merged and 'moves an addition'}"]
        return found

    assert len(owners) > 100
    refuse("anchors", owners, lambda it: [*map(str, it), CODE], judge)


def test_make_lists_and_runs_the_targets_of_the_team(rendered, tmp_path):
    project = rendered().copy_to(tmp_path / "project")
    with (project / "Makefile").open("a") as file:
        file.write("\n.PHONY: greet\ngreet: ## Greet\n\t@echo hello\nGATES += greet\n")

    assert "greet            Greet\n" in project.make_ok("help").stdout
    assert project.make_ok("greet").stdout == "hello\n"
    assert project.make_ok("ci", "--dry-run").stdout.endswith(" greet\n")
