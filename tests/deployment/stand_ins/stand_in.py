"""What the stand-ins of platforms' command lines share: their state, and how they fail.

$STAND_IN is a folder: `asked` has a line for each command, `state.json` what the platform
knows, and `sites/NAME.json` what a site answers. $STAND_IN_FAILS names the step to fail,
and $STAND_IN_HOLDS the step to hold until the file `go` is in the folder.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])


def record():
    """Write down what was asked."""
    with (FOLDER / "asked").open("a") as asked:
        asked.write(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n")


def option(name):
    """Return the value of an option that must be there."""
    return sys.argv[sys.argv.index(name) + 1]


def fails(step):
    """Say whether to fail at this step, after holding there if so told."""
    while os.environ.get("STAND_IN_HOLDS") == step and not (FOLDER / "go").exists():
        (FOLDER / "held").touch()
        time.sleep(0.05)
    return step in os.environ.get("STAND_IN_FAILS", "").split()


class State:
    """The platform's memory, which one command at a time may change."""

    def __enter__(self):
        self.lock = (FOLDER / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = json.loads((FOLDER / "state.json").read_text())
        return self.data

    def __exit__(self, *error):
        (FOLDER / "state.json").write_text(json.dumps(self.data))
        self.lock.close()


def serve(name, commit):
    """Let the site of this name answer with a commit: broken, if so told."""
    wrong = commit in os.environ.get("STAND_IN_BROKEN", "").split()
    answer = {"status": 503 if wrong else 200, "release": commit}
    (FOLDER / "sites" / f"{name}.json").write_text(json.dumps(answer))
