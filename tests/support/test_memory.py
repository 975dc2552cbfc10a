"""The temporary folder is in memory where that is possible, or where TMPDIR sets it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.support.memory import NEEDED, folder_in_memory
from tests.support.options import TEMPLATE

TEST = """
import os, tempfile

def test_folder(tmp_path):
    print("FOLDERS", tmp_path, tempfile.gettempdir(), os.environ.get("TMPDIR"))
"""
PYTEST = [sys.executable, "-m", "pytest", "-p", "tests.support.memory", "-rP"]


def folders(tmp_path, workers, **variables):
    """Return the three folders that a test sees."""
    (tmp_path / "test_it.py").write_text(TEST)
    environment = {key: os.environ[key] for key in os.environ.keys() - {"TMPDIR"}}
    options = [f"-n{workers}", f"--rootdir={TEMPLATE}", f"--confcutdir={tmp_path}"]
    done = subprocess.run(
        [*PYTEST, *options, tmp_path / "test_it.py"],
        cwd=TEMPLATE,
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    lines = [it for it in done.stdout.splitlines() if it.startswith("FOLDERS ")]
    assert len(lines) == 1, done.stdout
    return lines[0].split()[1:]


@pytest.mark.parametrize("workers", [0, 1])
def test_temporary_folder_is_in_memory(tmp_path, workers):
    if not (memory := folder_in_memory()):
        pytest.skip("this machine has no folder in memory with room for the tests")
    of_test, *others = folders(tmp_path, workers)

    assert of_test.startswith(f"{memory}/pytest-of-")
    assert others == [memory, memory]


def test_tmpdir_of_the_user_is_kept(tmp_path):
    of_test, *others = folders(tmp_path, 1, TMPDIR=str(tmp_path))

    assert of_test.startswith(f"{tmp_path}/pytest-of-")
    assert others == [str(tmp_path), str(tmp_path)]


def test_folder_without_room_is_not_used(tmp_path):
    assert folder_in_memory(tmp_path, 1) == tmp_path
    assert folder_in_memory(tmp_path, 2**63) is None
    assert folder_in_memory(tmp_path / "missing") is None


def test_folder_that_runs_no_programs_is_not_used(tmp_path, monkeypatch):
    def statvfs(folder):
        return SimpleNamespace(f_bavail=NEEDED, f_frsize=1, f_flag=flag)

    monkeypatch.setattr(os, "statvfs", statvfs)
    flag = 0
    assert folder_in_memory(tmp_path) == tmp_path
    flag = os.ST_NOEXEC
    assert folder_in_memory(tmp_path) is None
