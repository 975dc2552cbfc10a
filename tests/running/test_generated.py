"""`make ci` passes in a fresh project, on real servers."""

import os
import re
import sys

import pytest

from tests.support.gates import ci_key, run_ci
from tests.support.machine import python_version
from tests.support.options import DEFAULTS, EVERY_COMBINATION, VERSIONS
from tests.support.project import Project
from tests.support.session import gates, recorded
from tests.support.verdicts import code_of, key_of, once

pytestmark = [pytest.mark.slow, pytest.mark.seconds(10)]
CODE = code_of(sys.modules[__name__], Project)
THRESHOLD = DEFAULTS["coverage_threshold"]


def group(answers):
    """Return a name that projects have in common whose `make ci` has the same input."""
    names = ("use_redis", "use_celery", "use_channels", *VERSIONS)
    return "-".join(str(answers.get(name)) for name in names)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, id=name, marks=pytest.mark.xdist_group(group(answers)))
        for name, answers in EVERY_COMBINATION.items()
    ],
)
def test_make_ci_passes_in_every_combination(
    rendered, shared_folder, tmp_path, answers
):
    version = answers["python_version"]
    if not python_version(version):
        pytest.skip(f"Python {version} is not on this machine: not tested")
    generated = rendered(**answers)
    key = [ci_key(generated), CODE]
    # Each combination fails whose input has failed, and only the first one runs it.
    failed = shared_folder / f"failed-{key_of('make ci', key)}"

    def judge():
        project = generated.copy_to(tmp_path / "project").installed()
        # Every line of a fresh project is covered, so any threshold can be met.
        project.edit("pyproject.toml", f"fail_under = {THRESHOLD}", "fail_under = 100")
        project.commit()
        installed = (project / ".venv/installed").stat().st_mtime_ns
        try:
            run_ci(project)
            assert project.run("git", "status", "--porcelain").stdout == ""
            # A new installation would replace the file and the link.
            assert (project / ".venv/installed").stat().st_mtime_ns == installed
            assert (project / ".venv/servers").is_symlink()
        except AssertionError as error:
            failed.write_text(str(error))
            raise

    assert not failed.exists(), failed.read_text()
    once("make ci", key, judge)


def green(project):
    done = project.make_ok("ci")
    return done.stdout


def installations(project):
    """Return the times of the installations of the packages and of the servers."""
    stamps = (".venv/installed", ".venv/servers/installed")
    return [(project / name).stat().st_mtime_ns for name in stamps]


def test_second_make_setup_installs_nothing(render):
    project = render()
    project.make_ok("setup")
    before = installations(project)

    project.make_ok("setup")

    assert installations(project) == before


def test_leftovers_of_earlier_runs_fail_no_test(render):
    project = render().installed()
    warn = 'warnings.warn(pytest.PytestWarning("(rm_rf) error removing /tmp/x\\n1"))'
    text = f"import warnings\nimport pytest\ndef test_it():\n    {warn}\n"
    (project / "tests" / "test_it.py").write_text(text)

    project.make_ok("test", ARGS="--no-cov tests/test_it.py")


def test_env_file_replaces_the_embedded_servers(render):
    host, guest = render(), render()
    host.installed()
    with host.services() as variables:
        text = guest.read(".env.example")
        for name, value in variables.items():
            text = re.sub(f"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        (guest / ".env").write_text(text)

        printed = green(guest.installed())

    assert not (guest / ".services" / "postgres").exists()
    # The page also has a first line, about the installation.
    assert gates(printed) == recorded("Check it")[1:], "run make session"


def test_hooks_run_the_pinned_tools(render):
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
