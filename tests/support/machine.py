"""The programs of this machine, and the end of a test that needs one it does not have."""

import os
import shutil

import pytest

from tests.support.options import TEMPLATE

UV = shutil.which("uv") or str(TEMPLATE / ".tools/bin/uv")


def link_programs(folder, names):
    """Link these programs of this machine into a new folder; return it, to be the PATH."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def give_up(reason):
    """Skip the test. In a pipeline that is a failure, so that everything is tested there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
