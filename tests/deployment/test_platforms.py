"""Each target has what the tests of deployments need."""

import os

from tests.deployment.platforms import PLATFORMS
from tests.deployment.platforms.base import STAND_INS


def test_each_platform_has_a_stand_in():
    for name, platform in PLATFORMS.items():
        assert os.access(STAND_INS / platform.tool, os.X_OK), name
