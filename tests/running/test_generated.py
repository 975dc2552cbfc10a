"""A fresh project is green at once: its `make ci` runs for real, on real servers."""

import os
import re
import subprocess

import pytest

from tests.support.options import (
    EVERY_COMBINATION,
    FULL,
    QUESTIONS,
    combinations,
)

pytestmark = pytest.mark.slow
DEFAULT = QUESTIONS["python_version"]["default"]
ROLES = {
    name: answers
    for name, answers in EVERY_COMBINATION.items()
    if answers["python_version"] == DEFAULT
}
OTHER_PYTHONS = {
    name: answers
    for name, answers in combinations("django_version", "python_version").items()
    if answers["python_version"] != DEFAULT
}


def needs_python(version):
    try:
        subprocess.run([f"python{version}", "--version"], check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip(f"Python {version} is not on this machine: not tested")


def green(project):
    done = project.make_ok("ci")
    return done.stdout


@pytest.mark.parametrize("answers", ROLES.values(), ids=ROLES)
def test_make_ci_is_green(render, answers):
    # Every line of a fresh project is covered, so any threshold can be met.
    output = green(render(**answers, coverage_threshold=100))

    for gate in ("ruff check", "black --check", "check --deploy", "makemigrations"):
        assert gate in output
    assert "Applying users.0001_initial... OK" in output
    assert " passed in " in output
    assert "docs/migrations.md" not in output  # No migration is warned of.


@pytest.mark.parametrize("answers", OTHER_PYTHONS.values(), ids=OTHER_PYTHONS.keys())
def test_make_ci_is_green_on_every_python(render, answers):
    needs_python(answers["python_version"])

    green(render(**FULL, **answers))


def test_make_ci_leaves_nothing_to_commit(render):
    project = render(**FULL)
    project.commit()

    green(project)

    assert project.run("git", "status", "--porcelain").stdout == ""


def test_a_second_make_ci_installs_nothing(render):
    project = render()
    green(project)

    assert "pip sync" not in green(project)


def test_what_pytest_cannot_remove_of_earlier_runs_turns_no_test_red(render):
    project = render().installed()
    warn = 'warnings.warn(pytest.PytestWarning("(rm_rf) error removing /tmp/x\\n1"))'
    text = f"import warnings\nimport pytest\ndef test_it():\n    {warn}\n"
    (project / "tests" / "test_it.py").write_text(text)

    project.make_ok("test", ARGS="--no-cov tests/test_it.py")


def test_a_copy_of_the_example_names_servers_of_ones_own(render):
    host, guest = render(), render()
    host.installed()
    with host.services() as variables:
        text = guest.read(".env.example")
        for name, value in variables.items():
            text = re.sub(f"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        (guest / ".env").write_text(text)

        green(guest.installed())

    assert not (guest / ".services" / "postgres").exists()


def test_hooks_run_the_projects_own_tools(render):
    project = render().installed()
    project.commit()
    (project / "apps" / "users" / "ugly.py").write_text("import os\nx = {  'a':1 }\n")
    project.run("git", "add", "--all")

    done = project.run(
        *("uv", "tool", "run", "pre-commit", "run", "--all-files"),
        HOME=os.environ["HOME"],
    )

    assert done.returncode == 1, done.stdout
    assert project.read("apps/users/ugly.py") == 'x = {"a": 1}\n'
