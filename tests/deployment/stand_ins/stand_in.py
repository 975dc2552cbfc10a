"""The state of the stand-ins for platforms' command lines, and how they fail.

$STAND_IN is a folder: `calls` has a line for each command, `state.json` the platform's
state, and `sites/NAME.json` the answer of a site. $STAND_IN_FAILS names the step to fail,
and $STAND_IN_HOLDS the step to hold until the file `go` is in the folder.
$STAND_IN_ANSWERS has more of the answers of some commits, for sites.py.
A command is a link to `launch`, which runs the module of its name.
"""

import fcntl
import json
import os
import sys
import time


class File(str):
    """A path. To import pathlib takes a fifth of the time of a stand-in, which a test runs often."""

    __slots__ = ()

    def __truediv__(self, name):
        return File(f"{self}/{name}")

    def exists(self):
        return os.path.exists(self)

    def read_text(self):
        with open(self) as file:
            return file.read()

    def write_text(self, text):
        with open(self, "w") as file:
            file.write(text)


FOLDER = File(os.environ["STAND_IN"])


def record():
    """Record this command."""
    with open(FOLDER / "calls", "a") as calls:
        calls.write(" ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\n")


def option(name):
    """Return the value of an option that must be there."""
    return sys.argv[sys.argv.index(name) + 1]


def fails(step):
    """Return whether to fail at this step, after a pause if the test requested one."""
    while os.environ.get("STAND_IN_HOLDS") == step and not (FOLDER / "go").exists():
        (FOLDER / "held").write_text("")
        time.sleep(0.05)
    return step in os.environ.get("STAND_IN_FAILS", "").split()


def crashes(role, commit):
    """Return whether this process crashes again and again.

    That is the worker of the commit $STAND_IN_CRASHES, or of the one in the file `crashed`.
    """
    file = FOLDER / "crashed"
    late = file.read_text() if file.exists() else None
    return role == "worker" and commit in (os.environ.get("STAND_IN_CRASHES"), late)


class State:
    """The platform's state, which one command at a time may change."""

    def __enter__(self):
        self.lock = open(FOLDER / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = json.loads((FOLDER / "state.json").read_text())
        return self.data

    def __exit__(self, *error):
        (FOLDER / "state.json").write_text(json.dumps(self.data))
        self.lock.close()


def serve(name, commit):
    """Make a site report a commit: not ready, if the test requested that."""
    wrong = commit in os.environ.get("STAND_IN_BROKEN", "").split()
    answer = {"status": 503 if wrong else 200, "release": commit}
    answer |= json.loads(os.environ.get("STAND_IN_ANSWERS", "{}")).get(commit, {})
    (FOLDER / "sites" / f"{name}.json").write_text(json.dumps(answer))
