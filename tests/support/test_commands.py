"""The commands of the pages are compared with those that tests run."""

import os
import subprocess
import sys

import pytest

from tests.support.commands import (
    CHECKOUT,
    IN_A_SHELL,
    MARKS,
    NOT_RUN,
    PROJECT,
    Record,
    commands_of,
    documented,
    documented_steps,
    faults,
)
from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.support.suite import WHOLE, passed_tree


def is_run(page, command, environment=(), folder=None):
    """Return whether a command proves one of a page."""
    steps = documented_steps(page)
    record = Record({page: steps})
    record.add(command, folder, environment)
    return record.run == steps


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("make ci", ["make", "ci"]),
        ("make ci", ["/usr/bin/strace", "-f", "make", "--silent", "ci"]),
        ("make dev PORT=8001", ["make", "dev", "PORT=8005"]),
        ("make manage ARGS=migrate", ["make", "manage", "ARGS=migrate shop"]),
        ("make smoke URL=…", ["make", "smoke", "URL=http://x"]),
        ("DEBUG=no make dev", ["env", "DEBUG=yes", "make", "dev"]),
        ("python manage.py migrate", [".venv/bin/python3.13", "manage.py", "migrate"]),
        ("gunicorn --config config/x.py", ["bin/gunicorn", "--config", "config/x.py"]),
        ("uvx copier copy <address> shop", ["copier", "copy", "/tmp/x", "shop"]),
        ("cd ../shop", ["bash", "-euxc", "cd shop\nmake ci"]),
        ("make ci", ["sh", "-c", "cd shop && (A=1 make ci | tee log)"]),
        (
            'for it in */; do make -C "$it" lint | jq .; done',
            ["bash", "-c", 'cd x; for it in *; do make -C "$it" lint | jq .; done'],
        ),
    ],
)
def test_command_is_run_by_one_that_has_its_words(page, command):
    assert is_run(page, command)


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("make ci", ["make", "lint"]),
        ("make ci", ["echo", "make ci"]),
        ("make ci", ["make", "--dry-run", "ci"]),
        ("make dev PORT=8001", ["make", "dev"]),
        ("DEBUG=no make dev", ["make", "dev"]),
        ("make manage ARGS=migrate", ["make", "manage", "ARGS=check"]),
        ("python manage.py migrate", ["python", "manage.py", "check"]),
        ("uvx copier update", ["copier", "copy", "/tmp/x", "shop"]),
        ("for it in *; do make lint | jq .; done", ["make", "lint"]),
        ("make ci", ["bash", "-c", "echo 'it is"]),
    ],
)
def test_command_is_not_run_by_another_one(page, command):
    assert not is_run(page, command)


def test_variables_of_make_can_come_from_the_environment():
    assert is_run("make lock ARGS=-U", ["make", "lock"], {"ARGS": "-P x"})
    assert not is_run("make lock ARGS=-U", ["make", "lock"], {"ARG": "-P x"})


def test_make_runs_in_a_project_or_in_a_checkout(tmp_path):
    command = ["make", "lint"]
    steps = {PROJECT: set(), CHECKOUT: set()}
    for place in steps:
        steps[place] = documented()[f"make lint ({place})"]
        (tmp_path / place).mkdir()
        (tmp_path / place / MARKS[place]).touch()

    for place in steps:
        record = Record(steps)
        record.see("subprocess.Popen", ("make", command, tmp_path / place, {}))
        assert record.run == steps[place]
    record = Record(steps)
    record.see("subprocess.Popen", ("make", command, tmp_path, {}))
    assert record.run == set()
    record.see(IN_A_SHELL, ("make lint", None))
    assert record.run == steps[PROJECT] | steps[CHECKOUT]


def test_commands_of_a_page_are_in_its_blocks_and_in_its_text():
    page = (
        "Run `make a B=1` or `A=1 make b`, not `git c`.\n```console\nmake d  # e\n```"
    )

    assert commands_of(page) == {"make a B=1", "A=1 make b", "make d"}


PAGES = {it: documented_steps(it) for it in ("make a", "make b", "make c")}
A, B, C = PAGES.values()


def test_all_commands_are_run_or_are_exceptions():
    assert faults(PAGES, A | B, {"make c": "It is slow."}) == []


def test_each_fault_is_listed():
    exceptions = {"make b": "It is slow.", "make d": "It is slow."}

    assert faults(PAGES, A | B, exceptions) == [
        "No test runs: make c",
        "A test runs this exception: make b",
        "No page has this exception: make d",
    ]


def test_exceptions_are_on_the_pages():
    assert NOT_RUN.keys() <= documented().keys()


def test_whole_run_fails_for_a_command_that_no_test_runs(tmp_path):
    files = {
        ".gitignore": ".cache/\n__pycache__/\n",
        "Makefile": "ci:\n",
        "conftest.py": (
            'pytest_plugins = ["tests.support.suite", "tests.support.commands"]\n'
        ),
        "manage.py": "",
        "test_it.py": (
            "import subprocess\n\n"
            "def test_it():\n    subprocess.run(['make', 'ci'])\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    Project(tmp_path).commit()
    variables = {"CI": "true", "FRESH": "1", "SHARD": "", "PYTEST_ADDOPTS": ""}
    variables |= {"PYTHONPATH": str(TEMPLATE), "PYTEST_XDIST_AUTO_NUM_WORKERS": "1"}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *WHOLE],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "\nNo test runs: make lint (in a project)\n" in done.stdout
    assert "make ci (in a project)" not in done.stdout
    assert passed_tree(tmp_path) is None
