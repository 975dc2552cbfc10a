"""A killed update leaves the user's edits, and the printed commands restore the project.

`make test-update` kills 20 of them.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.support.options import TEMPLATE
from tests.support.project import clean_environment
from tests.updating.releases import Releases, comment, is_text
from tests.updating.small import SCRIPT, state, undo

KILLS = 20 if os.environ.get("RUNS") else 2
BEGIN = "To undo it"
EDITS = 20


class Update:
    """An update of a project of this template, in a group of processes that can be killed."""

    def __init__(self, project, version, folder):
        command = [sys.executable, "-u", str(SCRIPT), "update", "--merge-only"]
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, f"--vcs-ref={version}"],
            cwd=project.path,
            env=clean_environment(TMPDIR=str(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""

    def read_to(self, text):
        """Read what it prints, up to a line with this text."""
        for line in self.process.stdout:
            self.output += line
            if text in line:
                break

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.output += self.process.communicate()[0]


@pytest.fixture(scope="module")
def edited(template, tmp_path_factory):
    """Return a project with edits and the texts of these, and a release that changes much."""
    folder = tmp_path_factory.mktemp("killed")
    releases, choose = Releases(template, TEMPLATE, folder), random.Random(1)
    project = releases.render(releases.newest, {}, folder / "project")
    project.commit()
    texts = []
    for name in choose.sample(sorted(project.files()), EDITS * 3):
        path = project / name
        if len(texts) < EDITS and name[0] not in ".r" and is_text(path.read_bytes()):
            texts.append(f"mine {len(texts)} {choose.random()}")
            path.write_text(path.read_text() + comment(name, texts[-1]) + "\n")
    project.commit("Edit")
    return project, texts, releases.later(choose, 60)


@pytest.fixture(scope="module")
def whole(edited, tmp_path_factory):
    """Run the update to its end; return its files, and its seconds before and in the merge."""
    project, _, version = edited
    folder = tmp_path_factory.mktemp("whole")
    merged = project.copy_to(folder / "project")
    begin = time.perf_counter()
    update = Update(merged, version, folder)
    update.read_to(BEGIN)
    middle = time.perf_counter()
    update.read_to("the last line")
    end = time.perf_counter()
    assert update.process.wait() in (0, 1), update.output
    return merged_files(merged), middle - begin, end - middle


def merged_files(project):
    """Return the content of each file. A marker of a conflict names a commit of this run."""
    files = state(project)[0]
    return {name: re.sub(rb">>>>>>> \w+ ", b"", it) for name, it in files.items()}


@pytest.mark.slow
@pytest.mark.seconds(15)
@pytest.mark.parametrize("number", range(KILLS))
def test_killed_update_loses_nothing(edited, whole, tmp_path, record_property, number):
    original, texts, version = edited
    files, before_merge, merge = whole
    # Each second kill is in the merge, where it writes.
    share, in_merge = (number + 1) / (KILLS + 1), number % 2
    wait = share * (merge if in_merge else before_merge)

    project, before, update = killed(original, version, tmp_path, wait, in_merge)

    record_property("kills", 1)
    found = "".join(
        path.read_text(errors="replace")
        for path in project.path.rglob("*")
        if path.is_file() and ".git" not in path.parts
    )
    assert [text for text in texts if text not in found] == []
    assert list(update.folder.iterdir()) == []
    if BEGIN in update.output:
        undo(project, update.output)
    assert state(project) == before

    again = Update(project, version, update.folder)
    again.read_to("the last line")
    assert again.process.wait() in (0, 1), again.output
    assert merged_files(project) == files


def killed(original, version, folder, wait, in_merge):
    """Kill an update of a copy after some seconds; return the copy, its state before, the update.

    The seconds begin with the update, or with its merge. If it is over by then, because the
    machine was busy when its time was measured, the next copy gets half as many.
    """
    for attempt in range(8):
        place = folder / str(attempt)
        (place / "temporary").mkdir(parents=True)
        project = original.copy_to(place / "project")
        before = state(project)
        update = Update(project, version, place / "temporary")
        if in_merge:
            update.read_to(BEGIN)
        time.sleep(wait / 2**attempt)
        update.kill()
        if update.process.returncode == -signal.SIGKILL:
            return project, before, update
    raise AssertionError(f"no update was killed before its end: {update.output}")
