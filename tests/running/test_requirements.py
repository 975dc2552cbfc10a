"""The generated lock files are what the generated pyproject.toml compiles to."""

import fcntl
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.maintenance.lock import COMBINATIONS
from tests.support.options import FULL, combinations

pytestmark = pytest.mark.slow
NAMES = ("requirements.txt", "requirements-dev.txt", "requirements-servers.txt")


@pytest.fixture(scope="session")
def known_packages(rendered, shared_folder):
    """Let uv fetch the metadata of every package once: each time, it takes minutes."""
    done = shared_folder / "packages-are-known"
    with (shared_folder / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            # The metadata of some packages differs between Pythons.
            versions = combinations("django_version", "python_version").items()
            projects = [
                rendered(**FULL, **its).copy_to(shared_folder / name)
                for name, its in versions
            ]
            # They mostly wait for the network.
            with ThreadPoolExecutor(len(projects)) as pool:
                list(pool.map(lambda project: project.make_ok("lock"), projects))
            done.touch()


def lock_again(original, folder, **variables):
    """Return a copy of a project in which `make lock` has run."""
    project = original.copy_to(folder)
    project.make_ok("lock", **variables)
    return project


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_locking_again_changes_nothing(rendered, known_packages, tmp_path, answers):
    original = rendered(**answers)

    project = lock_again(original, tmp_path / "project", UV_OFFLINE="1")

    for name in NAMES:
        assert project.read(name) == original.read(name)


def test_pip_installs_the_lock_file(rendered, tmp_path):
    project = rendered(**FULL)
    project.run(sys.executable, "-m", "venv", f"{tmp_path}/venv")

    project.run_ok(
        f"{tmp_path}/venv/bin/pip", "install", "--require-hashes", "-r", NAMES[0]
    )
