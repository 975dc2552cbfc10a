"""What a person or an editor runs without make in a generated project, with nothing set."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.project import clean_environment, closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANAGE = (".venv/bin/python", "-Wdefault", "manage.py")
STOP = (".venv/bin/python", "-m", "scripts.services", "stop")
RUN_TRUE = (".venv/bin/python", "-m", "scripts.services", "run", "true")
PYTEST = (".venv/bin/pytest",)
SETTINGS_TEST = """\
import os

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache


@pytest.mark.django_db
def test_servers_answer():
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "config.settings.ci"
    assert not get_user_model().objects.exists()
    cache.set("key", "value")
    assert cache.get("key") == "value"
"""
USE_SERVERS = """
import os
from django.core.cache import cache
from django.contrib.auth import get_user_model
cache.set("key", get_user_model().objects.count())
print(os.environ["POSTGRES_HOST"], cache.get("key"))
"""


@pytest.fixture(scope="module")
def project(render_for_module):
    """Return a project that its tests share: what they change, they change back."""
    project = render_for_module(
        use_redis=True, use_celery=True, use_channels=True
    ).with_one_short_test(SETTINGS_TEST)
    return project.installed()


@pytest.fixture
def stopped(project):
    """Return the project, with no server running, before and after the test."""
    for _ in "before", "after":
        if (project / ".services").exists():
            project.run_ok(*STOP)
        if _ == "before":
            yield project


@pytest.fixture
def env_file(project):
    """Return the path of the .env of `make setup`; restore that file in the end."""
    path = project / ".env"
    text = path.read_text()
    yield path
    path.write_text(text)


def started(project):
    return (project / ".services/addresses.json").exists()


def addresses(project):
    return json.loads(project.read(".services/addresses.json"))["addresses"]


def test_manage_py_starts_the_servers(stopped):
    stopped.run_ok(*MANAGE, "migrate")
    done = stopped.run_ok(*MANAGE, "shell", "--command", USE_SERVERS)

    assert started(stopped)
    assert done.stdout.splitlines()[-1].endswith(" 0")
    assert "Warning" not in done.stdout


def test_addresses_of_the_servers_never_change(stopped):
    host = []
    for temporary in ("/tmp", str(stopped.path)):
        stopped.run_ok(*MANAGE, "migrate", TMPDIR=temporary)
        host.append(addresses(stopped))
        stopped.run_ok(*STOP)

    assert host[0] == host[1]
    # An editor may keep them: they name the servers to start.
    stopped.run_ok(*MANAGE, "migrate", **host[0])
    assert started(stopped)


def test_servers_with_other_addresses_start_again(stopped):
    stopped.run_ok(*MANAGE, "migrate")
    variables = "scripts/servers/postgres/variables.toml"
    text = stopped.read(variables)
    stopped.edit(variables, 'POSTGRES_DB = "my_project"', 'POSTGRES_DB = "other"')
    try:
        done = stopped.run(*MANAGE, "migrate")
    finally:
        (stopped / variables).write_text(text)

    assert "Applying users.0001_initial... OK" in done.stdout


def test_servers_without_their_sockets_start_again(stopped):
    stopped.run_ok(*MANAGE, "migrate")
    shutil.rmtree(addresses(stopped)["POSTGRES_HOST"])

    stopped.run_ok(*MANAGE, "migrate")


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("help",),
        ("--help",),
        ("--version",),
        ("migrate", "--help"),
        ("startapp", "blog", ".cache/blog"),
    ],
    ids=" ".join,
)
def test_commands_without_a_server_need_none(project, tmp_path, command):
    unusable = project.copy_to(tmp_path / "copy")
    (unusable / ".cache/blog").mkdir(parents=True)
    if (unusable / ".services").exists():
        (unusable / ".services").rename(tmp_path / "services")
    # No server can start here.
    (unusable / ".services").touch()

    unusable.run_ok(*MANAGE, *command)
    done = unusable.run(*MANAGE, "migrate")
    assert done.returncode == 1
    assert "services cannot be used (File exists): delete what is there" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("folder", [".", "tests"])
def test_pytest_starts_the_servers_and_uses_the_settings_of_tests(stopped, folder):
    done = subprocess.run(
        [stopped / ".venv/bin/pytest", "-p", "no:cacheprovider"],
        cwd=stopped / folder,
        env=clean_environment(DJANGO_SETTINGS_MODULE="config.settings.production"),
        capture_output=True,
        text=True,
    )

    assert "1 passed" in done.stdout, done.stdout
    assert started(stopped)


def test_collection_of_tests_starts_no_server(stopped):
    done = stopped.run_ok(".venv/bin/python", "-m", "pytest", "--collect-only")

    assert "test_servers_answer" in done.stdout
    assert not started(stopped)


def test_failed_start_ends_pytest_with_its_reason(stopped):
    version = stopped / ".services/postgres/PG_VERSION"
    stopped.run_ok(*MANAGE, "migrate")
    stopped.run_ok(*STOP)
    text = version.read_text()
    version.write_text("17\n")
    try:
        done = stopped.run(".venv/bin/pytest")
    finally:
        version.write_text(text)

    assert done.returncode == 1
    assert "PostgreSQL 17 made " in done.stdout
    assert "Traceback" not in done.stdout


def test_setup_leaves_an_env_file_unchanged(project, env_file):
    assert "DJANGO_SETTINGS_MODULE=config.settings.local" in env_file.read_text()
    env_file.write_text("SITE_URL=http://shop.localhost\n")

    project.make_ok("setup")

    assert env_file.read_text() == "SITE_URL=http://shop.localhost\n"
    env_file.unlink()
    project.make_ok("setup")
    assert "DJANGO_SETTINGS_MODULE=config.settings.local" in env_file.read_text()


def test_settings_read_the_env_file_below_the_environment(project, env_file):
    with env_file.open("a") as file:
        file.write("SITE_URL=http://file.localhost\nRELEASE=file\n")

    show = (
        "from django.conf import settings; print(settings.SITE_URL, settings.RELEASE)"
    )
    done = project.run_ok(*MANAGE, "shell", "--command", show, RELEASE="environment")

    assert done.stdout.splitlines()[-1] == "http://file.localhost environment"


def test_env_file_decides_where_the_servers_are(stopped, env_file):
    with env_file.open("a") as file:
        file.write("DATABASE_URL=postgres://127.0.0.1:1/shop\nREDIS_URL=redis://a/0\n")

    done = stopped.run(*MANAGE, "migrate")

    assert 'connection to server at "127.0.0.1", port 1 failed' in done.stdout
    assert not started(stopped)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# Müller".encode("latin-1"), "is not UTF-8: save the file as UTF-8."),
        (b"RELEASE: first release", "is not NAME=value: correct or delete it."),
    ],
    ids=["encoding", "syntax"],
)
@pytest.mark.parametrize("command", [MANAGE, RUN_TRUE, PYTEST], ids=" ".join)
def test_unreadable_line_of_the_env_file_is_named(
    project, env_file, content, reason, command
):
    with env_file.open("ab") as file:
        file.write(b"SITE_URL=http://shop.localhost\n" + content)

    done = project.run(*command)

    assert done.returncode == 1
    assert f"{project.path}/.env, line 4 {reason}" in done.stdout
    assert "Traceback" not in done.stdout


def test_missing_database_is_named_with_the_command_that_creates_it(stopped):
    stopped.run_ok(*MANAGE, "migrate")
    host = addresses(stopped)["POSTGRES_HOST"]

    done = stopped.run(*MANAGE, "migrate", POSTGRES_HOST=host, POSTGRES_DB="shop")

    assert done.returncode == 1
    assert 'database "shop" does not exist\n' in done.stdout
    command = f"createdb --host={host} --port=5432 --username=postgres shop"
    assert done.stdout.endswith(f"\nCreate the database: {command}\n")
    assert "Traceback" not in done.stdout


def test_manage_py_means_production_without_an_env_file(stopped, env_file):
    env_file.unlink()

    done = stopped.run(*MANAGE, "migrate")

    assert done.returncode != 0
    assert '"POSTGRES_HOST" not set' in done.stdout
    assert not started(stopped)


@pytest.mark.parametrize("module", ["config.asgi", "config.celery"])
def test_servers_mean_production_despite_the_env_file(project, module):
    code = f"import {module}; from django.conf import settings; settings.DEBUG"

    done = project.run(".venv/bin/python", "-c", code)

    assert done.returncode != 0
    assert "settings/production.py" in done.stdout
    assert '"POSTGRES_HOST" not set' in done.stdout


def test_runserver_reloads_and_ends_with_ctrl_c(stopped):
    port = closed_port()
    process = subprocess.Popen(
        [*MANAGE, "runserver", str(port)],
        cwd=stopped.path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    middleware = stopped / "config/middleware.py"

    def is_ready():
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as response,
        ):
            return response.status == 200

    def servers():
        found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True)
        return found.stdout.split()

    try:
        wait_until(is_ready, 60)
        before = servers()
        # It sees no change in its first second.
        wait_until(lambda: os.utime(middleware) or servers() != before, 60)
        wait_until(is_ready, 60)
        os.killpg(process.pid, signal.SIGINT)
        printed = process.communicate(timeout=20)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in printed
    assert started(stopped)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_folder_of_another_user_is_not_used(stopped):
    stopped.run_ok(*MANAGE, "migrate")
    host = addresses(stopped)["POSTGRES_HOST"]
    assert Path(host).stat().st_mode & 0o777 == 0o700
    stopped.run_ok(*STOP)
    Path(host).mkdir()
    os.chown(host, 1234, 1234)
    try:
        done = stopped.run(*MANAGE, "migrate")
    finally:
        Path(host).rmdir()

    assert done.returncode == 1
    assert re.fullmatch(f"{host} belongs to another user. .*\n", done.stdout)
