"""`make ci` depends on nothing but the key by which the tests run it once."""

import shutil
from pathlib import Path

import pytest

from tests.support.gates import (
    ONLY_LINTED,
    ci_key,
    files_opened,
    gates,
    is_input,
    paths_in,
)
from tests.support.machine import give_up
from tests.support.options import FULL

EVERYTHING = {
    **FULL,
    "ci_provider": "github",
    "use_docker": True,
    "deploy_target": "kubernetes",
}
TRACE = """\
7 openat(AT_FDCWD</a>, "one.py", O_RDONLY) = 3</a/one.py>
7 openat(AT_FDCWD</a>, "missing.py", O_RDONLY) = -1 ENOENT (No such file or directory)
8 openat(4</a/apps>, "two.py", O_RDONLY|O_CLOEXEC <unfinished ...>
7 execve("/a/manage.py", ["manage.py"], 0x7ffe /* 9 vars */) = 0
8 <... openat resumed>) = 5</a/apps/two.py>
7 openat(AT_FDCWD</b>, "other.py", O_RDONLY) = 3</b/other.py>
"""


def test_trace_has_calls_that_another_process_interrupts():
    found = paths_in(TRACE.splitlines(), Path("/a"))
    assert found == {"one.py", "apps/two.py", "manage.py"}


@pytest.mark.slow
@pytest.mark.seconds(20)
@pytest.mark.parametrize(
    ("targets", "linted"),
    [(["lint"], True), (["check", "check-migrations", "test"], False)],
    ids=["lint", "rest"],
)
def test_gates_open_only_the_files_of_the_key(render, tmp_path, targets, linted):
    if not shutil.which("strace"):
        give_up("this test needs strace (Debian: strace)")
    project = render(**EVERYTHING)

    opened = files_opened(project, tmp_path / "trace", *targets)

    assert {"Makefile", "pyproject.toml", "config/settings/ci.py"} <= opened
    others = {name for name in opened - {"Makefile"} if not is_input(name)}
    code = {name for name in others if name.startswith(ONLY_LINTED)}
    assert all(name.endswith(".py") for name in code)
    assert others == (code if linted else set())
    assert bool(code) == linted


def test_make_ci_runs_these_gates(rendered):
    project = rendered(**EVERYTHING)

    assert gates(project.read("Makefile")) == [
        *("lint", "check", "check-migrations", "test")
    ]
    last = project.make_ok("ci", "--dry-run").stdout.splitlines()[-1]
    assert last.endswith("-m scripts.ci make lint,check check-migrations,test")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("apps/users/models.py", "# changed\n"),
        ("apps/new.py", "# new\n"),
        ("scripts/servers/valkey/variables.toml", "# changed\n"),
        ("tests/production.toml", "# changed\n"),
        ("tests/test_admin.py", "# changed\n"),
        (".env.example", "# changed\n"),
        ("templates/home.html", "<p>changed</p>\n"),
        ("pyproject.toml", "# changed\n"),
        ("requirements-dev.txt", "# changed\n"),
        ("Makefile", "lint: new\nnew:\n\ttrue\n"),
        ("Makefile", "export DJANGO_DEBUG := 1\n"),
        ("Makefile", "test: export DJANGO_DEBUG := 1\n"),
        ("Makefile", ".SHELLFLAGS := -c\n"),
        ("Makefile", ".IGNORE:\n"),
        ("Makefile", "MAKEFLAGS += --ignore-errors\n"),
    ],
)
def test_key_changes_with_its_inputs(rendered, tmp_path, name, text):
    project = rendered(**EVERYTHING).copy_to(tmp_path / "project")
    before = ci_key(project)

    with (project / name).open("a") as file:
        file.write(text)

    assert ci_key(project) != before


def test_key_is_the_same_for_other_files_and_targets(rendered):
    kamal = {**EVERYTHING, "deploy_target": "kamal"}
    fly = {**EVERYTHING, "ci_provider": "gitlab", "deploy_target": "fly"}
    assert rendered(**kamal).files() != rendered(**fly).files()
    assert ci_key(rendered(**kamal)) == ci_key(rendered(**fly))
