"""The tests of the template's own modules, which a generated project does not have.

They run in a project: next to its own tests, with all of its code measured.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.gates import ci_key
from tests.support.machine import python_version
from tests.support.options import FULL, combinations
from tests.support.project import Project
from tests.support.verdicts import code_of, once

pytestmark = [pytest.mark.slow, pytest.mark.seconds(15)]
MACHINERY = Path(__file__).with_name("machinery")
# The module without which a project has nothing for these files to test
NEEDS = {
    "test_bucket.py": "config/bucket.py",
    "test_cache.py": "config/cache.py",
    "test_celery_logs.py": "config/celery_logs.py",
    "test_celery_url.py": "config/celery_url.py",
    "test_heartbeat.py": "config/heartbeat.py",
    "test_pool.py": "config/pool.py",
    "test_redis.py": "config/redis.py",
    "test_results.py": "apps/health/checks/results.py",
    "test_sockets.py": "config/socket_logs.py",
}
# Each use of Redis, and each version with all of them, with a bucket for uploads and with the
# modules of a deploy target
PROJECTS = combinations("redis") | {
    name: FULL | versions | {"use_docker": True, "deploy_target": "kubernetes"}
    for name, versions in combinations("django_version", "python_version").items()
}


def add_machinery(project):
    """Add the tests to those of a project, and measure the modules that they test."""
    for path in sorted(MACHINERY.glob("test_*.py")):
        if project.has(NEEDS.get(path.name, "manage.py")):
            shutil.copy(
                path, project / "tests" / path.name.replace("test_", "test_own_")
            )
    settings = project.read("pyproject.toml")
    omitted = re.search(
        r"  # The template's own modules.*?(?=  #)", settings, re.DOTALL
    )
    project.edit("pyproject.toml", omitted[0], "")
    settings = project.read("pyproject.toml")
    fail_under = re.search(r"fail_under = \d+", settings)[0]
    project.edit("pyproject.toml", fail_under, "fail_under = 100")


@pytest.mark.parametrize("answers", PROJECTS.values(), ids=PROJECTS)
def test_own_modules_pass_and_are_covered(rendered, tmp_path, answers):
    generated = rendered(**answers)
    version = generated.read(".python-version").strip()
    if not python_version(version):
        pytest.skip(f"Python {version} is not on this machine: not tested")

    def judge():
        project = generated.copy_to(tmp_path / "project").installed()
        add_machinery(project)
        try:
            done = project.make_ok("test")
        finally:
            project.make("services-stop")
        assert "test_own_health.py" in done.stdout

    tests = {path.name: path.read_text() for path in MACHINERY.glob("*.py")}
    code = code_of(sys.modules[__name__], Project)
    once("own modules", [ci_key(generated), tests, code], judge)
