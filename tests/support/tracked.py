"""The files of this repository, as git lists them."""

import subprocess

from tests.support.options import TEMPLATE


def tracked(*patterns):
    """Return the paths of the files that git tracks, or would with the next commit.

    The patterns are git's, such as "docs" or ":!docs"; without one, all files are listed.
    """
    options = ["-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        ["git", "ls-files", *options, *patterns],
        cwd=TEMPLATE,
        check=True,
        capture_output=True,
        text=True,
    )
    names = filter(None, listed.stdout.split("\0"))
    return [name for name in names if (TEMPLATE / name).is_file()]
