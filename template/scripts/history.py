"""Find the files that a change adds or edits, so that old ones give no warnings.

A pipeline may set BASE_COMMIT to the commit that a change is compared with. If it sets
several, a file is part of the change if it differs from each of them.
"""

import os
import subprocess

# Where a change goes if nothing is set.
TARGETS = ("origin/HEAD", "origin/main", "main")


class UnknownBase(Exception):
    """There is no commit to compare with; the message has the reason."""


def find_base():
    """Return the commits that this change is compared with.

    On the target branch itself, that is the commit before the last one; the first commit
    breaks nothing. Raises UnknownBase.
    """
    git("rev-parse", "--git-dir")
    if given := os.environ.get("BASE_COMMIT", "").split():
        if absent := [name for name in given if not commit(name)]:
            raise UnknownBase(f"this clone has no commit {absent[0]}")
        return given
    for target in filter(commit, TARGETS):
        base = git("merge-base", target, "HEAD").strip()
        if base != commit("HEAD"):
            return [base]
        if commit("HEAD^1"):
            return ["HEAD^1"]
        if "true" in git("rev-parse", "--is-shallow-repository"):
            raise UnknownBase("this clone has no commit before the last one")
        return ["HEAD"]
    raise UnknownBase(f"git has no branch {' or '.join(TARGETS)}")


def changed_files(folder, base):
    """Return the files below a folder that differ from each commit of `base`.

    Files that git does not know count, unless it ignores them. Each is a path relative to
    the folder. Raises UnknownBase.
    """
    options = ("--name-only", "--no-renames", "--relative", "-z")
    differing = [names(git("diff", *options, it, folder=folder)) for it in base]
    new = names(git("ls-files", "--others", "--exclude-standard", "-z", folder=folder))
    return new.union(set.intersection(*differing))


def known_files(folder, base):
    """Return the files below a folder that a commit of `base` has, like changed_files."""
    options = ("-r", "--name-only", "-z")
    known = [names(git("ls-tree", *options, it, folder=folder)) for it in base]
    return set.union(*known)


def names(output):
    return set(output.split("\0")) - {""}


def commit(name):
    """Return the id of a commit, or nothing if the clone does not have it."""
    try:
        return git("rev-parse", "--verify", "--quiet", name + "^{commit}").strip()
    except UnknownBase:
        return ""


def git(*arguments, folder="."):
    """Return what git prints. Raises UnknownBase, with git's reason, if it fails."""
    command = ["git", *arguments]
    try:
        # The name of a file may have any bytes.
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise UnknownBase("git is not installed") from None
    if done.returncode:
        reason = done.stderr.partition("\n")[0].removeprefix("fatal: ")
        raise UnknownBase(reason or f"git {' '.join(arguments)} found nothing")
    return done.stdout
