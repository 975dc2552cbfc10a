from collections import Counter

import pytest

from tests.updating.small import SECOND, copy, make_template, release


@pytest.fixture(scope="package")
def original(tmp_path_factory):
    """Return a project of the first release, whose template has a second one."""
    folder = tmp_path_factory.mktemp("original")
    template = make_template(folder / "template")
    project = copy(template, folder / "project")
    release(template, "v1.1.0", SECOND)
    return project


@pytest.fixture
def small(original, tmp_path):
    """Return the project of the first release, for the test to change and update."""
    return original.copy_to(tmp_path / "project")


def pytest_terminal_summary(terminalreporter):
    """Print the sums of what the random and the killed updates have recorded."""
    sums = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, number in report.user_properties:
            sums[name] += number
    if sums:
        line = ", ".join(f"{number} {name}" for name, number in sums.items())
        terminalreporter.write_line(f"Updates: {line}")
