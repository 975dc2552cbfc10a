"""Record the commit's files on which the whole suite has passed: a pytest plugin.

`make release` reads the record, so that it need not run the tests again.
"""

import json
import os
import subprocess

import pytest

from tests.support.cache import CACHE, FRESH

RECORD = f"{CACHE.name}/suite.json"
# What `make test` passes to pytest. Any other argument may leave tests out.
WHOLE = ("--numprocesses", "auto", "--dist", "loadgroup")
LEAVES_OUT = ("SHARD", "PYTEST_ADDOPTS")


def changes(folder):
    """Return what git reports about each file that differs from the newest commit."""
    status = ("status", "--porcelain", "--untracked-files=all")
    return git(folder, *status).splitlines()


def committed_tree(folder):
    """Return git's id of all files of the newest commit, or None if the folder has others."""
    try:
        return None if changes(folder) else git(folder, "rev-parse", "HEAD^{tree}")
    except subprocess.CalledProcessError:
        return None


def git(folder, *arguments):
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.rstrip()


def passed_tree(folder):
    """Return the id of the files on which the suite has last passed, or None."""
    path = folder / RECORD
    return json.loads(path.read_text())["tree"] if path.exists() else None


def is_whole(arguments, variables, fresh):
    """Return whether a run judges everything anew, and fails where it cannot."""
    strict = bool(variables.get("CI")) and fresh
    left_out = any(variables.get(name) for name in LEAVES_OUT)
    return tuple(arguments) == WHOLE and strict and not left_out


def pytest_sessionstart(session):
    session.config.tested_tree = committed_tree(session.config.rootpath)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Record the files if they are those of a commit, from the start of the run to its end."""
    config = session.config
    if hasattr(config, "workerinput") or session.exitstatus:
        return
    tree = committed_tree(config.rootpath)
    whole = is_whole(config.invocation_params.args, os.environ, FRESH)
    if whole and tree and tree == config.tested_tree:
        path = config.rootpath / RECORD
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"tree": tree}))
