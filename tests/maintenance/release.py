"""Release the template: `make release VERSION=1.0.0`.

It commits the changelog with the version and its date, and tags the commit. Until then it
changes nothing, and it pushes nothing. docs/releasing.md explains the release.
"""

import datetime
import os
import re
import subprocess
import sys

from packaging.version import InvalidVersion, Version

from tests.support.changelog import (
    ACTION,
    NOTHING,
    UNRELEASED,
    VERSION,
    find_faults,
    parts_of,
    sections,
)
from tests.support.options import TEMPLATE
from tests.support.suite import changes, committed_tree, passed_tree

BRANCH = "main"
CHANGELOG = TEMPLATE / "CHANGELOG.md"
SUITE = ".ci/run"
# These would leave tests out, or reach the make that the tests run.
NOT_FOR_THE_SUITE = ("ARGS", "FRESH", "MAKEFLAGS", "MFLAGS", "PYTEST_ADDOPTS", "SHARD")


class Refused(Exception):
    """There is no release; nothing has changed, and the message has the reasons."""


def git(*arguments):
    """Return what git prints. Raises Refused, with git's reason, if it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def release(version):
    """Make the release. Raises Refused."""
    text = CHANGELOG.read_text()
    reasons = [
        *find_faults_of_version(version, find_tags()),
        *find_faults_of_repository(),
        *find_faults_of_changelog(version, text),
    ]
    if reasons:
        raise Refused("\n".join(reasons))
    require_green_suite()
    today = datetime.date.today()
    # Only this line differs from what the suite has tested.
    released = text.replace(f"## {UNRELEASED}\n", f"## {version} ({today})\n", 1)
    before = git("rev-parse", "HEAD")
    try:
        CHANGELOG.write_text(released)
        git("commit", "--quiet", f"--message=chore: Release {version}", CHANGELOG.name)
        git("tag", "--annotate", f"--message=Slipway {version}", f"v{version}")
    except Refused:
        git("reset", "--quiet", "--hard", before)
        raise
    print(
        f"Released {version}: the tag v{version}, on this machine only. To publish it:"
    )
    print(f"  git push --atomic origin {BRANCH} v{version}")
    print("To undo it, before it is published:")
    print(f"  git tag --delete v{version} && git reset --hard {before[:10]}")


def find_tags():
    """Return the tags of this repository and of its origin that Copier reads as versions."""
    names = git("tag").splitlines()
    if has_origin():
        listed = git("ls-remote", "--tags", "--refs", "origin")
        names += re.findall(r"refs/tags/(.*)", listed)
    tags = {}
    for name in names:
        try:
            tags[Version(name)] = name
        except InvalidVersion:
            continue
    return tags


def has_origin():
    return "origin" in git("remote").splitlines()


def find_faults_of_version(version, tags):
    """Yield why the version cannot be the next one."""
    if not VERSION.fullmatch(version):
        yield (
            f"The version is {version!r}. Write three numbers, such as 1.0.0, or a "
            "prerelease, such as 2.0.0rc1."
        )
    elif tags and Version(version) <= max(tags):
        yield f"The version must be higher than the newest tag, {tags[max(tags)]}."


def find_faults_of_repository():
    """Yield why the commit that is checked out cannot be released."""
    branch = git("branch", "--show-current")
    if branch != BRANCH:
        yield f"Switch to the branch {BRANCH}. This is {branch or 'a detached HEAD'}."
    if changed := changes(TEMPLATE):
        yield "\n".join(["Commit or stash these files:", *changed])
    if has_origin() and (line := git("ls-remote", "origin", f"refs/heads/{BRANCH}")):
        missing = ("git", "merge-base", "--is-ancestor", line.split()[0], "HEAD")
        if subprocess.run(missing, cwd=TEMPLATE, capture_output=True).returncode:
            yield f"Pull first: the branch {BRANCH} of origin has newer commits."


def find_faults_of_changelog(version, text):
    """Yield why the changelog cannot be that of the version."""
    unreleased = sections(text).get(UNRELEASED)
    if unreleased is None:
        yield f"CHANGELOG.md has no section “{UNRELEASED}”: docs/releasing.md shows one."
        return
    for fault in find_faults(text):
        yield f"CHANGELOG.md: {fault}"
    actions = dict(parts_of(unreleased)).get(ACTION, NOTHING)
    is_patch = VERSION.fullmatch(version) and Version(version).micro
    if is_patch and actions != NOTHING:
        yield (
            "A patch release asks nothing of its users, but CHANGELOG.md does under "
            f"“{ACTION}”: raise the second number, or the first."
        )


def require_green_suite():
    """Lint, and run the suite unless it has passed on these files. Raises Refused."""
    environment = {k: v for k, v in os.environ.items() if k not in NOT_FOR_THE_SUITE}
    options = {"cwd": TEMPLATE, "env": environment}
    if subprocess.run(["make", "--silent", "lint"], **options).returncode:
        raise Refused("make lint failed, for the reasons above: fix them first.")
    tree = committed_tree(TEMPLATE)
    if passed_tree(TEMPLATE) == tree:
        print("The suite has passed on this commit, so it does not run again.")
        return
    print(f"The suite has not passed on this commit: running {SUITE}.", flush=True)
    if subprocess.run(TEMPLATE / SUITE, **options).returncode:
        raise Refused("The suite failed, for the reasons above: fix them first.")
    if passed_tree(TEMPLATE) != tree or committed_tree(TEMPLATE) != tree:
        raise Refused("The files have changed while the suite ran: start again.")


def main():
    version = sys.argv[1]
    try:
        release(version)
    except Refused as error:
        print(f"No release {version}:\n{error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
