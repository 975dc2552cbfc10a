"""What this machine has for the tests, and what becomes of a test when it lacks something."""

import os
import shutil

import pytest

from tests.support.options import TEMPLATE

UV = shutil.which("uv") or str(TEMPLATE / ".tools/bin/uv")


def give_up(reason):
    """Skip the test. In a pipeline that is an error: there, nothing goes untested."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
