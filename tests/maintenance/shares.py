"""A pytest plugin that prints where a test run spends its time: `make bench ARGS=suite`.

A test's CPU time is that of its worker and of all commands that it ran. Servers that
outlive their command are not in it.
"""

import os
from collections import Counter

import pytest

TESTS = 15  # that the report names
MAKE_CI = "test_make_ci_passes_in_every_combination"
tests, cpu, seconds, last = Counter(), Counter(), Counter(), os.times()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Add to each report what its phase took."""
    global last
    report = yield
    now = os.times()
    report.cpu = sum(now[:4]) - sum(last[:4])
    last = now
    return report


def pytest_runtest_logreport(report):
    tests[report.nodeid] += report.cpu
    cpu[part_of(report.nodeid)] += report.cpu
    seconds[part_of(report.nodeid)] += report.duration


def part_of(nodeid):
    """Return the room of a test, or what it is in a room with a larger part."""
    room, _, name = nodeid.removeprefix("tests/").partition("/")
    return f"{room}: make ci" if MAKE_CI in name else room.partition("::")[0]


def pytest_terminal_summary(terminalreporter):
    write = terminalreporter.write_line
    write(f"{cpu.total():.0f} s of CPU, {seconds.total():.0f} s in tests")
    for part, its in cpu.most_common():
        shares = its / cpu.total(), seconds[part] / (seconds.total() or 1)
        write(
            "{:>20}  {:4.0%} of the CPU  {:4.0%} of the seconds".format(part, *shares)
        )
    for nodeid, its in tests.most_common(TESTS):
        write(f"{its:6.1f} s of CPU  {nodeid}")
