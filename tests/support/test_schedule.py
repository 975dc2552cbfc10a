"""The longest tests start first, groups stay together, and shards are a partition."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.options import TEMPLATE
from tests.support.schedule import read_shard

# A group of tests for one worker, tests that share a project, and others
TESTS = """
import pytest

@pytest.fixture(scope="module")
def render_for_module():
    pass

@pytest.fixture(scope="module", params=["one", "two"])
def project(render_for_module, request):
    pass

@pytest.mark.parametrize("number", range(5))
def test_fast(number):
    pass

@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_slow(number):
    pass

@pytest.mark.seconds(60)
def test_long():
    pass

@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_project(project, number):
    pass

@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
@pytest.mark.xdist_group("group")
def test_group(number):
    pass
"""
ORDER = [
    "test_long",
    "test_group[0]",
    "test_group[1]",
    "test_group[2]",
    "test_project[one-0]",
    "test_project[one-1]",
    "test_project[two-0]",
    "test_project[two-1]",
    "test_slow[0]",
    "test_slow[1]",
    "test_slow[2]",
    *(f"test_fast[{number}]" for number in range(5)),
]


def collect(*arguments, **variables):
    """Return the names of the tests that pytest would run, in their order."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-n0"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=TEMPLATE,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    return [line.partition("::")[2] for line in lines if "::" in line]


@pytest.fixture
def tests(tmp_path):
    """Return the arguments that collect those tests with the plugin."""
    file = tmp_path / "test_it.py"
    file.write_text(TESTS)
    folder = f"--confcutdir={tmp_path}"
    plugins = ["-p", "no:randomly", "-p", "tests.support.schedule"]
    return [*plugins, f"--rootdir={TEMPLATE}", folder, file]


def test_longest_units_come_first(tests):
    assert collect(*tests, SHARD="") == ORDER


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_shards_are_a_partition_that_keeps_groups_whole(tests, number):
    shards = [collect(*tests, SHARD=f"{n + 1}/{number}") for n in range(number)]

    assert sorted(name for shard in shards for name in shard) == sorted(ORDER)
    for group in ("test_group", "test_project[one", "test_project[two"):
        having = [n for n, shard in enumerate(shards) if group in str(shard)]
        assert len(having) == 1
    sizes = [len(shard) for shard in shards]
    assert max(sizes) < len(ORDER) / number + 4


@pytest.mark.slow
def test_shards_of_this_suite_are_a_partition():
    shards = [collect(SHARD=f"{n}/3") for n in (1, 2, 3)]

    found = [name for shard in shards for name in shard]
    assert all(shards)
    assert sorted(found) == sorted(collect(SHARD=""))


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4"])
def test_wrong_shard_is_an_error(text):
    with pytest.raises(pytest.UsageError, match="as in 1/4"):
        read_shard(text)


def test_one_worker_runs_a_whole_group(tests):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n2", "--dist=loadgroup", "-v", *tests],
        cwd=TEMPLATE,
        capture_output=True,
        text=True,
    )

    ran = re.findall(r"\[(gw\d)\].* PASSED .*::(test_\w+(?:\[[a-z]+)?)", done.stdout)
    assert len(ran) == len(ORDER), done.stdout
    workers = {name: {worker for worker, it in ran if it == name} for _, name in ran}
    for group in ("test_group", "test_project[one", "test_project[two"):
        assert len(workers[group]) == 1


@pytest.mark.parametrize(("options", "workers"), [((), 3), (("-m", "not slow"), 2)])
def test_slow_tests_get_three_workers_for_two_processors(tests, options, workers):
    command = [sys.executable, "-m", "pytest", "--numprocesses=auto", "-v"]
    done = subprocess.run(
        [*command, *options, *tests],
        cwd=TEMPLATE,
        env=os.environ | {"PYTEST_XDIST_AUTO_NUM_WORKERS": "2"},
        capture_output=True,
        text=True,
    )

    assert f"created: {workers}/{workers} workers" in done.stdout
