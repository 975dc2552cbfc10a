"""Projects share an environment, which none of them may change."""

import os

import pytest

from tests.support.environments import refuse_changed


@pytest.mark.parametrize("folder", ["lib", "production/lib"])
def test_changed_environment_is_refused(tmp_path, folder):
    packages = tmp_path / folder / "python3.13/site-packages"
    (packages / "old-1.0.dist-info").mkdir(parents=True)
    refuse_changed(tmp_path)
    refuse_changed(tmp_path)
    (packages / "new-1.0.dist-info").mkdir()
    later = (tmp_path / "unchanged").stat().st_mtime + 1
    os.utime(packages / "new-1.0.dist-info", (later, later))

    with pytest.raises(AssertionError, match=r"installed \['new-1.0.dist-info'\] into"):
        refuse_changed(tmp_path)
