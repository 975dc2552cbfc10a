"""What the generated Makefile does on a machine that lacks something."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.machine import link_programs
from tests.support.project import Project, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

# All that `make ci` needs of a machine, but for Python and uv.
TOOLS = ["awk", "bash", "cat", "dirname", "env", "ln", "make", "mkdir", "realpath"]
TOOLS += ["rm", "sh", "sort", "touch"]
NOBODY = 65534
USES_BOTH_SERVERS = """import pytest
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_servers_answer():
    cache.set("vendor", connection.vendor)
    assert cache.get("vendor") == "postgresql"
"""


@pytest.fixture
def tools(tmp_path):
    """Return a folder with the basic tools, to be the whole PATH."""
    return link_programs(tmp_path / "bin", TOOLS)


@pytest.fixture
def without_python(tools, tmp_path):
    """Return the environment of a machine that has uv, but no Python for it."""
    (tools / "uv").symlink_to(shutil.which("uv"))
    return {"PATH": str(tools), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "pythons")}


def sentence(done):
    """Return the last line that is not make's own, of a make that failed."""
    assert done.returncode == 2, done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    return lines[-1]


def test_make_ci_needs_only_python_and_a_network(render, tools):
    project = render(use_redis=True, coverage_threshold=0)
    project.with_one_short_test(USES_BOTH_SERVERS)
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    done = project.make_ok("ci", PATH=str(tools))
    assert "1 passed" in done.stdout
    assert (project / ".tools/bin/uv").exists()


def test_uv_that_is_too_old_is_not_used(render, tools):
    project = render()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    (tools / "uv").write_text("#!/bin/sh\necho uv 0.4.30\n")
    (tools / "uv").chmod(0o755)
    project.make_ok("setup", PATH=str(tools))
    assert (project / ".tools/bin/uv").exists()


def test_setup_reports_the_reason_of_a_failed_install(render):
    project = render()
    pins = project / "requirements-dev.txt"
    pins.write_text(re.sub("sha256:.{8}", "sha256:00000000", pins.read_text()))
    done = project.make("setup")
    assert "hash" in done.stdout.lower()
    assert sentence(done).startswith(
        "The packages are not installed, for the reason above."
    )


def test_setup_reports_missing_uv_and_python(render, tools):
    done = render().make("ci", PATH=str(tools))
    assert "Install uv, or Python 3 with its venv module" in sentence(done)


def test_setup_reports_a_python_without_venv(render, tools):
    (tools / "python3").write_text("#!/bin/sh\necho 'No module named venv'\nexit 1\n")
    (tools / "python3").chmod(0o755)
    done = render().make("setup", PATH=str(tools))
    assert "Install uv, or Python 3 with its venv module" in sentence(done)


def test_setup_reports_a_failed_download_of_uv(render, tools):
    project = render()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    no_network = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    done = project.make("setup", PATH=str(tools), **no_network)
    assert sentence(done).startswith("Install uv, or connect to the network")
    assert not (project / ".tools/bin/uv").exists()


@pytest.mark.parametrize(
    "reason", [{"UV_PYTHON_DOWNLOADS": "never"}, {"UV_OFFLINE": "1"}], ids=str
)
def test_setup_names_the_missing_python(render, without_python, reason):
    project = render(python_version="3.12")
    done = project.make("ci", **without_python, **reason)
    assert sentence(done) == "Install Python 3.12, then run make again."
    assert not (project / ".venv/installed").exists()


def test_update_to_another_python_needs_only_any_python(render, tools, without_python):
    project = render(python_version="3.12")
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    offline = {**without_python, "UV_PYTHON_DOWNLOADS": "never"}
    done = project.make_ok("template-update", "ARGS=--help", **offline)
    assert "usage: python -m scripts.template" in done.stdout


def test_setup_without_network_fails_and_can_be_repeated(render, tmp_path):
    project = render()
    done = project.make("setup", UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert sentence(done).startswith(
        "The packages are not installed, for the reason above."
    )
    assert not (project / ".venv/installed").exists()
    other = tmp_path / "other"
    subprocess.run(["uv", "venv", "--quiet", other], check=True)
    # Settings for other environments do not mislead, and do not harm those.
    misleading = {
        "VIRTUAL_ENV": str(other),
        "UV_PYTHON": "3.8",
        "UV_SYSTEM_PYTHON": "1",
    }
    project.make_ok("lint", **misleading)
    assert not list(other.glob("lib/*/site-packages/django"))


def test_killed_setup_starts_again(render):
    project = render()
    setup = subprocess.Popen(
        ["make", "setup"],
        cwd=project.path,
        env=clean_environment(),
        start_new_session=True,
    )
    packages = project / ".venv/lib"

    def has_begun():
        assert setup.poll() is None
        return list(packages.glob("*/site-packages/django*"))

    wait_until(has_begun)
    os.killpg(setup.pid, signal.SIGKILL)
    setup.wait()
    assert not (project / ".venv/installed").exists()
    project.make_ok("lint")


@pytest.mark.parametrize("gone", [".venv/bin", ".venv/production/bin"])
def test_environment_without_its_python_is_made_again(render, without_python, gone):
    project = render(python_version="3.12")
    for folder in (".venv/bin", ".venv/production/bin"):
        (project / folder).mkdir(parents=True)
        python = "/nonexistent/python" if folder == gone else sys.executable
        (project / folder / "python").symlink_to(python)
    (project / ".venv/installed").touch()
    # Here it cannot be made, which shows that it is tried.
    done = project.make("lint", UV_OFFLINE="1", **without_python)
    assert sentence(done) == "Install Python 3.12, then run make again."


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root, and on Linux, becomes another user",
)
def test_make_ci_passes_with_a_read_only_home_directory(render, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    minor = sys.version_info.minor
    rendered = render(coverage_threshold=0, python_version=f"3.{minor}")
    rendered.with_one_short_test()
    # Not below the folder of this test, nor with root's Python: both may be private.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        python = shutil.copytree(
            sys.base_prefix,
            Path(folder, "python"),
            symlinks=True,
            ignore=shutil.ignore_patterns("site-packages", "test"),
        )
        shutil.copy2(shutil.which("uv"), python / "bin/uv")
        project = rendered.copy_to(Path(folder, "project"))
        for path in [project.path, *project.path.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        machine = {
            "HOME": str(home),
            "LD_LIBRARY_PATH": str(python / "lib"),
            "PATH": os.pathsep.join([str(python / "bin"), os.defpath]),
        }
        done = project.run_ok(*user, "make", "ci", **machine)
        project.run(*user, "make", "services-stop", **machine)
    assert "1 passed" in done.stdout
    assert not list(home.iterdir())


@pytest.mark.parametrize("sign", [*'$"`:\\[]'])
def test_make_names_a_path_that_tools_misread(rendered, tmp_path, sign):
    folder = Project(tmp_path / f"a{sign}b")
    folder.path.mkdir()
    shutil.copy(rendered() / "Makefile", folder.path)

    done = folder.make("help")

    assert done.returncode == 2
    assert f" Move the project out of {folder.path}, because tools" in done.stdout
