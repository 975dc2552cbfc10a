"""Graders of GitLab's pipeline file."""

import itertools
import json
import re
import shutil
import tempfile
from pathlib import Path

from tests.graders.tools import run, schema, shellcheck
from tests.support.node import GITLAB_CI_LOCAL, NODE, node_modules

SCRIPT = Path(__file__).with_name("gitlab_ci_local.mjs")


def gitlab_schema(*paths):
    """Return where the files break GitLab's own schema."""
    return schema("vendor.gitlab-ci", "--data-transform=gitlab-ci", *paths)


# The program always prints how long it took. Without a clone around the file, it warns.
TIMING = re.compile("parsing and downloads finished in ")
# Each run of the program stays in the memory of its process.
FILES_PER_PROCESS = 30
CLONE = """
git init --quiet --initial-branch=main --template=
git config user.name Test
git config user.email test@example.com
git commit --quiet --allow-empty --message=Begin
git remote add origin https://gitlab.com/group/project.git
git update-ref refs/remotes/origin/main HEAD
git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main
"""


def gitlab_ci_local(*paths):
    """Return what gitlab-ci-local warns of, and what it cannot expand."""
    with tempfile.TemporaryDirectory() as folder:
        # Away from the project, and from the settings of this machine's user.
        folders = {path: Path(folder, str(number)) for number, path in enumerate(paths)}
        clone = Path(folder, "clone")
        clone.mkdir()
        made = run("/bin/sh", "-ec", CLONE, cwd=clone, HOME=str(clone))
        assert made.returncode == 0, made.stderr
        for path, place in folders.items():
            shutil.copytree(clone, place)
            if path.exists():
                shutil.copy(path, place / ".gitlab-ci.yml")
        batches = itertools.batched(folders.values(), FILES_PER_PROCESS)
        results = itertools.chain.from_iterable(map(expand, batches))
        return [
            f"{path}: {finding}"
            for path, result in zip(paths, results, strict=True)
            for finding in findings_of(result)
        ]


def expand(folders):
    """Return what gitlab-ci-local prints in each folder, and its exit code."""
    program = node_modules(GITLAB_CI_LOCAL) / "gitlab-ci-local/dist/index.js"
    done = run(NODE, SCRIPT, program, *folders)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def findings_of(result):
    """Return the lines that gitlab-ci-local printed before the expanded pipeline."""
    warnings, expanded, _ = result["stdout"].partition("---\n")
    lines = (warnings + result["stderr"]).splitlines()
    findings = [line for line in lines if line.strip() and not TIMING.match(line)]
    if not findings and (result["code"] or not expanded):
        findings = [f"gitlab-ci-local: exit code {result['code']}"]
    return findings


def gitlab_shellcheck(*paths):
    """Return shellcheck's findings in every script of every job."""

    def scripts(place, node):
        if place[-1] in {"script", "before_script", "after_script"}:
            commands = [node] if isinstance(node, str) else node or []
            yield "\n".join(line for line in commands if isinstance(line, str))

    return shellcheck(scripts, *paths)
