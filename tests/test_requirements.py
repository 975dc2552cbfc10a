"""The delivered lock files are what the delivered pyproject.toml compiles to."""

import shutil
import sys

import pytest
from lock import COMBINATIONS
from project import Project

pytestmark = pytest.mark.slow
NAMES = ("requirements.txt", "requirements-dev.txt")


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_locking_again_changes_nothing(rendered, tmp_path, answers):
    delivered = rendered(**answers)
    project = Project(shutil.copytree(delivered.path, tmp_path / "project"))

    done = project.make("lock")

    assert done.returncode == 0, done.stdout
    for name in NAMES:
        assert project.read(name) == delivered.read(name)


def test_plain_pip_installs_the_lock_file(rendered, tmp_path):
    project = rendered(use_redis=True, use_celery=True, use_channels=True)
    project.run(sys.executable, "-m", "venv", f"{tmp_path}/venv")

    done = project.run(
        f"{tmp_path}/venv/bin/pip", "install", "--require-hashes", "-r", NAMES[0]
    )

    assert done.returncode == 0, done.stdout
