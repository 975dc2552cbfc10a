"""Random releases, answers and edits: an update loses none, and hides no conflict.

`make test-update RUNS=1000` runs more of them. What is expected comes from the three trees,
file by file, and not from what git merged.
"""

import contextlib
import itertools
import os
import random
import subprocess
from collections import Counter

import jinja2
import pytest
import yaml

from tests.support.options import TEMPLATE
from tests.updating.releases import (
    ANSWERS,
    Releases,
    comment,
    draw,
    is_text,
    is_valid,
    save,
    tree,
    update,
)

RUNS = int(os.environ.get("RUNS") or 6)
SEED = int(os.environ.get("SEED") or 0)
LOCKS = {"requirements.txt", "requirements-dev.txt", "requirements-servers.txt"}
ODD_NAMES = [
    "a b",
    "-x",
    "näme",
    "quote'\"$x;",
    "new\nline",
    "[ab]*?",
    ":(top)x",
    "\udcff",
]


@pytest.fixture(scope="module")
def releases(template, tmp_path_factory):
    return Releases(template, TEMPLATE, tmp_path_factory.mktemp("releases"))


# Edits


class Edits:
    """Random edits of a project. Each has a text that is nowhere else."""

    def __init__(self, project, choose):
        self.project, self.choose = project, choose
        self.names = sorted(tree(project).keys() - LOCKS - {ANSWERS})
        # Both sides change these more often.
        self.shared = choose.sample(self.names, 9)
        self.texts, self.deleted = [], []

    def make(self, number):
        """Make an edit, of another file than the edits before unless it is of a line."""
        name = self.choose.choice(self.choose.choice([self.names, self.shared]))
        path, text = self.project / name, f"mine-{number}-{self.choose.random()}"
        if not path.is_file() or path.is_symlink() or not is_text(path.read_bytes()):
            return
        kinds = [self.line] * 8 + [self.delete, self.move, self.own, self.same_name]
        kinds += [self.binary, self.crlf, self.mode, self.link, self.folder]
        kind = self.choose.choice(kinds)
        kind(path, text)
        self.texts.append(text)

    def line(self, path, text):
        lines = path.read_text().splitlines(keepends=True)
        line = self.choose.randrange(len(lines) + 1)
        replaced = self.choose.randrange(2)
        new = comment(path.name, text) + "\n"
        path.write_bytes(
            "".join([*lines[:line], new, *lines[line + replaced :]]).encode()
        )

    def delete(self, path, text):
        path.unlink()
        self.deleted.append(str(path.relative_to(self.project.path)))

    def move(self, path, text):
        path.write_text(path.read_text() + comment(path.name, text) + "\n")
        path.rename(path.with_name(f"mine-{path.name}"))

    def own(self, path, text):
        name = f"{text} {self.choose.choice(ODD_NAMES)}"
        path.with_name(name).write_text(text)

    def same_name(self, path, text):
        (self.project / f"added-{self.choose.randrange(12)}.md").write_text(text)

    def binary(self, path, text):
        path.write_bytes(b"\0" + text.encode())

    def crlf(self, path, text):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + text.encode())

    def mode(self, path, text):
        path.chmod(0o755)

    def link(self, path, text):
        path.unlink()
        path.symlink_to(text)

    def folder(self, path, text):
        path.unlink()
        path.mkdir()
        (path / "mine").write_text(text)


# What is expected of a file that is at its place in all three trees, or new in one


def merge_file(folder, versions):
    """Return what `git merge-file` makes of mine, the base and the template's, and its code."""
    paths = [folder / f"{name}.txt" for name in ("mine", "base", "theirs")]
    for path, content in zip(paths, versions, strict=True):
        path.write_bytes(content)
    command = ["git", "merge-file", "-p", "--quiet", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, cwd=folder)
    return done.returncode, done.stdout


def expected(folder, base, mine, theirs):
    """Return the merged file, None if there is none, or "conflict"."""
    if mine == theirs or theirs == base:
        return mine
    if mine == base:
        return theirs
    if mine is None:
        return None
    if base is None or theirs is None or "link" in (base[0], mine[0], theirs[0]):
        return "conflict"
    mode = mine[0] if theirs[0] == base[0] else theirs[0]
    if mine[1] == theirs[1] or theirs[1] == base[1]:
        return mode, mine[1]
    if mine[1] == base[1]:
        return mode, theirs[1]
    code, content = merge_file(folder, (mine[1], base[1], theirs[1]))
    return (mode, content) if code == 0 else "conflict"


def keeps_apart(versions, merged):
    """Return whether a merge has all changes of both sides, with lines of the base in between.

    Then it is right although git merge-file, which compares lines by another algorithm, stops.
    """
    if not all(versions) or "link" in [it[0] for it in versions]:
        return False
    base, mine, theirs, now = (it[1].splitlines() for it in (*versions, merged))
    wanted = Counter(mine + theirs)
    wanted.subtract(base)
    wanted.subtract(now)
    own, other = set(mine) - set(base), set(theirs) - set(base)
    sides = [(line in own) - (line in other) for line in now]
    return not any(wanted.values()) and all(
        one * two >= 0 for one, two in itertools.pairwise(sides)
    )


def wrong(folder, trees, merged, conflicts, record):
    """Yield each file that is not as expected."""
    base, mine, theirs = trees
    # Only a file that one side removed and another that it added can be a rename.
    moved = (base.keys() - mine.keys()) | (mine.keys() - base.keys())
    moved |= (base.keys() - theirs.keys()) | (theirs.keys() - base.keys())
    for name in (base.keys() | mine.keys() | theirs.keys()) - LOCKS - {ANSWERS}:
        versions = [it.get(name) for it in trees]
        right = expected(folder, *versions)
        if name in moved:
            # A rename may carry changes; a text that is lost is found below.
            continue
        if right == "conflict":
            if name in conflicts:
                continue
            if name in merged and keeps_apart(versions, merged[name]):
                record("conflicts of git merge-file only", 1)
            else:
                yield name, "hidden conflict"
        elif name in conflicts:
            # git compares the lines by another algorithm than git merge-file.
            record("needless conflicts", 1)
        elif merged.get(name) != right:
            yield name, "wrong content"
        elif all(it and is_valid(name, it[1]) for it in versions[1:]) and not is_valid(
            name, merged[name][1]
        ):
            yield name, "not valid"
    for name in merged:
        if b"\n>>>>>>> " in merged[name][1] and name not in conflicts:
            yield name, "markers"


def lost(edits, trees, merged, conflicts):
    """Yield each text of the user that is neither at its place nor in a listed conflict."""
    base, mine, theirs = trees
    # A file that the template renames has a new place.
    places = conflicts.keys() | (theirs.keys() - base.keys())
    for text in edits.texts:
        before, now = with_text(mine, text), with_text(merged, text)
        # A later edit may have replaced it.
        if before and not now & (before | places):
            yield text, before
    for name in edits.deleted:
        if name not in mine and name in merged and name not in places:
            yield "deleted", name


def with_text(files, text):
    """Return the files that have this text, also in their name."""
    data = text.encode()
    return {name for name, (_, it) in files.items() if data in it or text in name}


@pytest.mark.slow
@pytest.mark.seconds(8)
@pytest.mark.parametrize("number", range(SEED, SEED + RUNS))
def test_random_update_loses_and_hides_nothing(
    releases, tmp_path, record_property, number
):
    choose = random.Random(number)
    for _ in range(9):
        old, answers = releases.earlier(choose), draw(choose, 0.3)
        with contextlib.suppress(ValueError, jinja2.TemplateError):
            project = releases.render(old, answers, tmp_path / "project")
            break
    project.commit()
    base = tree(project)
    edits = Edits(project, choose)
    for each in range(choose.randrange(4, 18)):
        edits.make(each)
    project.run_ok("git", "add", "--all", "--force")
    save(project, "Edit")
    mine = tree(project)
    new = releases.later(choose, choose.randrange(14), edits.shared)
    answers = yaml.safe_load(project.read(ANSWERS))
    answers = {name: it for name, it in answers.items() if name[0] != "_"}
    drawn = draw(choose, 0.2) if choose.randrange(2) else {}
    changed = {name: it for name, it in drawn.items() if name in answers}
    answers |= changed
    if not answers["use_redis"]:  # The recorded answers that need it end with it.
        answers |= {"use_celery": False, "use_channels": False} | changed
    try:
        theirs = tree(releases.render(new, answers, tmp_path / "theirs"))
    except ValueError:
        theirs = None

    data = [f"--data={name}={value}" for name, value in changed.items()]
    code, report = update(project, f"--vcs-ref={new}", *data)

    record_property("updates", 1)
    if code == 2:
        record_property("refused", 1)
        assert theirs is None or "does not ask for" in report["error"], report
        assert tree(project) == mine
        return
    assert theirs is not None
    merged, conflicts = tree(project), report.get("conflicts", {})
    trees = base, mine, theirs
    unmerged = project.run("git", "ls-files", "--unmerged", "-z").stdout.split("\0")
    names = {line.partition("\t")[2] for line in unmerged if line}
    record_property("edits", len(edits.texts) + len(edits.deleted))
    record_property("conflicts", len(conflicts))
    record_property("with conflicts", int(bool(conflicts)))
    assert list(lost(edits, trees, merged, conflicts)) == []
    assert sorted(wrong(tmp_path, trees, merged, conflicts, record_property)) == []
    assert (code, names - LOCKS - {ANSWERS}) == (
        int(bool(conflicts)),
        conflicts.keys() - LOCKS,
    )
    if not conflicts and report["files"]:
        project.commit("Update")
        project.run_ok("git", "branch", "--move", "merged")
        code, again = update(project, f"--vcs-ref={new}")
        assert (code, again["files"], tree(project)) == (0, [], merged)
