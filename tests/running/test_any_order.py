"""The tests of a generated project pass in any order, in any selection, and in parallel."""

import sys

import pytest

from tests.support.environments import link_packages
from tests.support.gates import ci_key
from tests.support.options import REDIS_STATES
from tests.support.project import Project
from tests.support.verdicts import code_of, once, tools_of

pytestmark = [pytest.mark.slow, pytest.mark.seconds(10)]
PLUGINS = ("execnet", "pytest-randomly", "pytest-xdist")
# A plugin that leaves out about every second test.
SELECTION = """\
import random


def pytest_collection_modifyitems(items):
    chance = random.Random(1)
    items[:] = [item for item in items if chance.random() < 0.5]
"""


@pytest.mark.parametrize("state", ["none", "redis-celery-channels"])
@pytest.mark.parametrize(
    "options", ["--numprocesses=4", "-p selection"], ids=["parallel", "selected"]
)
def test_tests_pass_in_random_order(rendered, tmp_path, state, options):
    generated = rendered(**REDIS_STATES[state])

    def judge():
        plugins = link_packages(tmp_path / "plugins", *PLUGINS)
        (plugins / "selection.py").write_text(SELECTION)
        project = generated.copy_to(tmp_path / "project").installed()
        arguments = f"--no-cov --randomly-seed=1 {options}"
        try:
            done = project.make_ok("test", ARGS=arguments, PYTHONPATH=str(plugins))
        finally:
            project.make("services-stop")
        assert "Using --randomly-seed=1" in done.stdout
        assert ("created: 4/4 workers" in done.stdout) == ("processes" in options)

    code = code_of(sys.modules[__name__], Project)
    once("any order", [ci_key(generated), options, code, tools_of(*PLUGINS)], judge)
