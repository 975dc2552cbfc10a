"""The order of the tests, their workers, and the part of them that one machine of several runs.

A pytest plugin. A unit is a group of tests that one worker runs, or a test of no group.
"""

import os
import re
from collections import defaultdict

import pytest
from _pytest.nodeid import coerce_node_id

FAST = "not slow"  # the tests of `make test-fast`
SLOW = 5  # seconds that a slow test takes, unless its mark `seconds` is more exact


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    units = defaultdict(list)
    for item in items:
        units[unit_of(item)].append(item)
    # The longest come first, so that all workers end at the same time.
    ordered = sorted(units.values(), key=lambda unit: -sum(map(seconds, unit)))
    first, step = read_shard(os.environ.get("SHARD") or "1/1")
    kept = [item for unit in ordered[first::step] for item in unit]
    if others := set(items) - set(kept):
        config.hook.pytest_deselected(items=list(others))
    items[:] = kept
    if config.getoption("loadgroup", default=False):
        for item in items:
            name_group(item)


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers(config):
    """Return three workers for two processors: slow tests wait for a third of their time."""
    processors = yield
    return processors + (config.option.markexpr != FAST) * (processors // 2)


def name_group(item):
    """Add a test's group to its id, from which the scheduler of pytest-xdist reads it.

    pytest-xdist 3.8 does that too, but pytest 9.2 ignores the attribute that it sets.
    """
    if (unit := unit_of(item)) != item.nodeid:
        item._id = coerce_node_id(f"{item.nodeid}@{unit}")


def unit_of(item):
    """Return the name of a test's unit; mark the test as one of its group."""
    if not item.get_closest_marker("xdist_group") and (name := shared_project(item)):
        item.add_marker(pytest.mark.xdist_group(name))
    names = {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}
    return "_".join(sorted(names)) or item.nodeid


def shared_project(item):
    """Return a name for the project that tests of a module share, if this one does.

    Two workers would make that project twice.
    """
    fixtures = item._fixtureinfo.name2fixturedefs
    indices = item.callspec.indices if hasattr(item, "callspec") else {}
    names = [
        f"{name}{indices.get(name, '')}"
        for name, found in fixtures.items()
        if "render_for_module" in found[-1].argnames
    ]
    return "-".join([item.module.__name__, *names]) if names else ""


def seconds(item):
    """Return about how long a test takes, in seconds."""
    if mark := item.get_closest_marker("seconds"):
        return mark.args[0]
    return SLOW if item.get_closest_marker("slow") else 0


def read_shard(text):
    """Return the number of the first unit of a shard, and the number of shards.

    Raises pytest.UsageError for anything but 1/4, 2/4 and so on.
    """
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise pytest.UsageError(
            f"SHARD is the shard and their number, as in 1/4: {text}"
        )
    return int(found[1]) - 1, int(found[2])
