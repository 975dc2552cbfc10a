"""Graders of GitLab's pipeline file."""

import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor

from tests.graders.tools import run, schema, shellcheck
from tests.support.node import GITLAB_CI_LOCAL, NODE, node_modules


def gitlab_schema(*paths):
    """Find where the files break GitLab's own schema."""
    return schema("vendor.gitlab-ci", "--data-transform=gitlab-ci", *paths)


# Without a clone around the file, gitlab-ci-local warns; how long it took, it always says.
TIMING = re.compile("(parsing and downloads finished|json schema validated) in ")
CLONE = """
git init --quiet --initial-branch=main
git config user.name Test
git config user.email test@example.com
git commit --quiet --allow-empty --message=Begin
git remote add origin https://gitlab.com/group/project.git
git update-ref refs/remotes/origin/main HEAD
git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main
"""


def gitlab_ci_local(*paths):
    """Find what gitlab-ci-local warns of, and what it cannot expand: a process per file."""
    program = node_modules(GITLAB_CI_LOCAL) / "gitlab-ci-local/dist/index.js"

    def preview(path):
        with tempfile.TemporaryDirectory() as folder:
            # Away from the project, and from the settings of this machine's user.
            place = {"cwd": folder, "HOME": folder}
            made = run("/bin/sh", "-ec", CLONE, **place)
            assert made.returncode == 0, made.stderr
            if path.exists():
                shutil.copy(path, f"{folder}/.gitlab-ci.yml")
            result = run(NODE, program, "--preview", **place)
        warnings, expanded, _ = result.stdout.partition("---\n")
        said = (warnings + result.stderr).splitlines()
        findings = [line for line in said if line.strip() and not TIMING.match(line)]
        if not findings and (result.returncode or not expanded):
            findings = [f"gitlab-ci-local: exit code {result.returncode}"]
        return [f"{path}: {finding}" for finding in findings]

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(preview, paths), [])


def gitlab_shellcheck(*paths):
    """Find what shellcheck does in every script of every job."""

    def scripts(place, node):
        if place[-1] in {"script", "before_script", "after_script"}:
            commands = [node] if isinstance(node, str) else node or []
            yield "\n".join(line for line in commands if isinstance(line, str))

    return shellcheck(scripts, *paths)
