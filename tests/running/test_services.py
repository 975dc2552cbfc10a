"""The embedded servers of a generated project: shared, stopped, and never left behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.project import Project, clean_environment
from tests.support.rendering import copy_with
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PYTHON = ".venv/bin/python"
SERVICES = (PYTHON, "-m", "scripts.services")
RUN = (*SERVICES, "run")
# Runs a query in the development database, and prints the first column of what it finds.
QUERY = """
import os, sys, psycopg
names = {"host": "HOST", "port": "PORT", "dbname": "DB", "user": "USER"}
parts = {key: os.environ[f"POSTGRES_{name}"] for key, name in names.items()}
with psycopg.connect(**parts) as connection:
    found = connection.execute(sys.argv[1])
    print(*[row[0] for row in found.fetchall()] if found.description else ["done"])
"""
SERVER_VARIABLES = re.compile(
    r"^((?:POSTGRES|DATABASE|REDIS|CELERY|CHANNEL)_\w+)=(.*)$", re.M
)
DATABASE_TEST = """\
import pytest
from django.contrib.auth import get_user_model


@pytest.mark.django_db
def test_database_is_empty():
    assert not get_user_model().objects.exists()
"""
SLOW_TEST = """\
import time
from pathlib import Path

import pytest


@pytest.mark.django_db
def test_slow():
    Path("begun").touch()
    time.sleep(60)
"""
NOBODY = 65534


@pytest.fixture(scope="module")
def install(copie_session, template):
    """Return a function that installs a project once for each set of answers."""
    known = {}

    def install(use_redis):
        if use_redis not in known:
            answers = dict.fromkeys(
                ["use_redis", "use_celery", "use_channels"], use_redis
            )
            project = copy_with(
                copie_session, template, answers | {"coverage_threshold": 0}
            )
            project.with_one_short_test(DATABASE_TEST).installed()
            for command in ([*RUN, "true"], [*SERVICES, "stop"]):
                project.run_ok(*command)
            known[use_redis] = project
        return known[use_redis]

    return install


@contextmanager
def stopped_afterwards(project):
    """Stop the services in the end, and see that nothing of the project still runs."""
    yield project
    if processes(project):
        project.run_ok(*SERVICES, "stop")
    wait_until(lambda: not processes(project), 5, lambda: processes(project))


@pytest.fixture
def plain(install, tmp_path):
    """Return an installed project of the test's own, with PostgreSQL only."""
    with stopped_afterwards(install(False).copy_to(tmp_path / "plain")) as project:
        yield project


@pytest.fixture
def full(install, tmp_path):
    """Return an installed project of the test's own, with both servers."""
    with stopped_afterwards(install(True).copy_to(tmp_path / "full")) as project:
        yield project


def processes(project, word=""):
    """Return the pids of the project's processes whose command line has the word."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=", "-o", "args="],
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
    )
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, *rest in lines
        if rest and f"{project.path}/" in rest[0] and word in rest[0]
    ]


def query(project, sql, **variables):
    done = project.run_ok(*RUN, PYTHON, "-c", QUERY, sql, timeout=90, **variables)
    return done.stdout.splitlines()[-1]


def postmaster(project):
    return int(project.read(".services/postgres/postmaster.pid").split()[0])


def server_variables(project, **variables):
    """Return what a command finds in its environment about servers."""
    done = project.run_ok(*RUN, "env", timeout=90, **variables)
    return dict(SERVER_VARIABLES.findall(done.stdout))


@contextmanager
def background(project, *command, **variables):
    """Run a command in a process group of its own, which is killed in the end."""
    process = subprocess.Popen(
        command,
        cwd=project.path,
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def stop_after(project, seconds):
    project.edit("scripts/supervisor.py", "IDLE = 10", f"IDLE = {seconds}")


# Sharing and stopping


def test_second_command_uses_the_same_servers(full):
    query(full, "SELECT 1")
    first = postmaster(full)
    begin = time.monotonic()
    full.run_ok(*RUN, "true")
    assert time.monotonic() - begin < 5
    assert postmaster(full) == first
    assert len(processes(full, "scripts.supervisor")) == 1


def test_servers_stop_after_the_last_command(full):
    stop_after(full, 2)
    sockets = Path(server_variables(full)["POSTGRES_HOST"])
    with background(full, *RUN, "sleep", "60") as command:
        time.sleep(3)
        assert (sockets / ".s.PGSQL.5432").is_socket()
        assert (sockets / "valkey.sock").is_socket()
        command.terminate()
    time.sleep(1)
    assert len(processes(full)) == 3
    wait_until(lambda: not processes(full), 5)
    assert not sockets.exists()
    assert not (full / ".services/addresses.json").exists()


def test_simultaneous_commands_share_the_servers(plain):
    shutil.rmtree(plain / ".services")
    commands = [
        subprocess.Popen(
            [*RUN, "env"],
            cwd=plain.path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    printed = [command.communicate(timeout=60)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0, 0]
    hosts = {dict(SERVER_VARIABLES.findall(text))["POSTGRES_HOST"] for text in printed}
    assert len(hosts) == 1
    assert len(processes(plain, "bin/postgres -D")) == 1


@pytest.mark.parametrize(
    "second",
    [(".venv/bin/pytest",), ("make", "check-migrations")],
    ids=["pytest", "make"],
)
def test_test_run_waits_for_another_one(plain, second):
    slow = plain / "tests/test_slow.py"
    slow.write_text(SLOW_TEST)
    with background(plain, ".venv/bin/pytest") as first:
        wait_until((plain / "begun").exists, 60)
        slow.unlink()
        with background(plain, *second) as waiting:
            lines = iter(waiting.stdout.readline, "")
            assert any("Waiting for other tests" in line for line in lines)
            assert waiting.poll() is None
            kill_group(first)
            waiting.communicate(timeout=60)
            assert waiting.returncode == 0


@pytest.mark.seconds(40)
def test_simultaneous_make_ci_pass_in_two_projects(render, plain):
    new = render(coverage_threshold=0).with_one_short_test(DATABASE_TEST)
    with (
        background(new, "make", "ci") as first,
        background(new, "make", "ci") as second,
        background(plain, "make", "ci") as other,
    ):
        for pipeline in (first, second, other):
            printed = pipeline.communicate(timeout=300)[0]
            assert pipeline.returncode == 0, printed
            assert "1 passed" in printed


@pytest.mark.parametrize("times", [1, 2])
def test_stop_works_for_running_and_stopped_services(full, times):
    full.make_ok("services-stop")
    sockets = Path(server_variables(full)["POSTGRES_HOST"])
    for _ in range(times):
        full.make_ok("services-stop")
        assert not processes(full)
        assert not sockets.exists()


def test_stop_works_while_the_services_start(plain):
    shutil.rmtree(plain / ".services")
    with background(plain, *RUN, "sleep", "60"):
        wait_until(lambda: processes(plain, "initdb"), 10)
        plain.run_ok(*SERVICES, "stop", timeout=30)
    assert query(plain, "SELECT 1") == "1"


def test_make_services_shows_the_addresses_until_ctrl_c(full):
    with background(full, "make", "services") as command:
        lines = iter(command.stdout.readline, "Running until Ctrl-C.\n")
        shown = dict(re.findall(r"export (\w+)='(.*)'", "".join(lines)))
        assert shown == server_variables(full)
        os.killpg(command.pid, signal.SIGINT)
        assert "Traceback" not in command.communicate(timeout=10)[0]


def test_run_without_a_command_is_an_error(plain):
    done = plain.run(*RUN)
    assert done.returncode == 2
    assert done.stdout.endswith("run needs a command\n")


# Killed processes


def test_killed_command_leaves_no_server(full):
    stop_after(full, 1)
    with background(full, *RUN, "sleep", "60") as command:
        wait_until((full / ".services/addresses.json").exists, 20)
        kill_group(command)
    wait_until(lambda: not processes(full), 5)
    assert query(full, "SELECT 1") == "1"


def test_make_test_works_after_a_killed_one(plain):
    stop_after(plain, 1)
    slow = plain / "tests/test_slow.py"
    slow.write_text(SLOW_TEST)
    with background(plain, "make", "test") as command:
        wait_until((plain / "begun").exists, 60)
        kill_group(command)
    wait_until(lambda: not processes(plain), 5)
    slow.unlink()
    plain.make_ok("test")


@pytest.mark.parametrize("next_command", ["run", "stop"])
def test_next_command_stops_servers_of_a_killed_supervisor(full, next_command):
    query(full, "CREATE TABLE kept AS SELECT 'data' AS value")
    leftovers = processes(full, "bin/postgres -D") + processes(full, "valkey-server")
    assert len(leftovers) == 2
    (supervisor,) = processes(full, "scripts.supervisor")
    os.kill(supervisor, signal.SIGKILL)
    full.run_ok(*SERVICES, next_command, "true", timeout=60)
    assert not set(leftovers) & set(processes(full))
    assert query(full, "SELECT value FROM kept") == "data"


def test_data_survives_a_stop_and_a_killed_postgres(full):
    query(full, "CREATE TABLE kept AS SELECT 'data' AS value")
    full.run_ok(*SERVICES, "stop")
    query(full, "UPDATE kept SET value = 'newer'")
    os.kill(postmaster(full), signal.SIGKILL)
    wait_until(lambda: not processes(full), 5)
    assert query(full, "SELECT value FROM kept") == "newer"


def test_killed_valkey_is_started_again(full):
    query(full, "SELECT 1")
    (valkey,) = processes(full, "valkey-server")
    os.kill(valkey, signal.SIGKILL)
    wait_until(lambda: not processes(full), 5)
    full.run_ok(
        *RUN,
        PYTHON,
        "-c",
        "import os, redis; redis.from_url(os.environ['REDIS_URL']).ping()",
    )


def test_killed_initialisation_starts_again(plain):
    shutil.rmtree(plain / ".services")
    with background(plain, *RUN, "true") as command:
        wait_until(lambda: processes(plain, "initdb"), 10)
        kill_group(command)
        for pid in processes(plain):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert list((plain / ".services").glob("initdb-*"))
    assert query(plain, "SELECT 1") == "1"
    assert not list((plain / ".services").glob("initdb-*"))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_start_leaves_nothing_and_can_be_repeated(plain, signal_number):
    stop_after(plain, 1)
    with background(plain, *RUN, "sleep", "60") as command:
        wait_until(lambda: processes(plain, "scripts.supervisor"), 10)
        os.killpg(command.pid, signal_number)
        assert "Traceback" not in command.communicate(timeout=10)[0]
    wait_until(lambda: not processes(plain), 10)
    assert query(plain, "SELECT 1") == "1"


def test_terminated_supervisor_stops_the_servers(full):
    query(full, "SELECT 1")
    (supervisor,) = processes(full, "scripts.supervisor")
    os.kill(supervisor, signal.SIGTERM)
    wait_until(lambda: not processes(full), 10)
    assert query(full, "SELECT 1") == "1"


# Stale and damaged files


@pytest.mark.parametrize("content", ["{pid}", "", "no number", "99999999999"], ids=repr)
def test_stale_pid_file_is_ignored(full, content):
    content = content.format(pid=os.getpid())  # a process, but not one of the project
    (full / ".services/postgres/postmaster.pid").write_text(content)
    (full / ".services/valkey.pid").write_text(content)
    assert query(full, "SELECT 1") == "1"


def test_stale_addresses_are_ignored(plain):
    (plain / ".services/addresses.json").write_text(json.dumps({"POSTGRES_HOST": "/"}))
    assert query(plain, "SELECT 1") == "1"


@pytest.mark.parametrize("name", ["", "addresses.json"], ids=["all", "addresses"])
def test_services_stop_when_their_files_are_deleted(plain, name):
    query(plain, "SELECT 1")
    first = postmaster(plain)
    if name:
        (plain / ".services" / name).unlink()
    else:
        shutil.rmtree(plain / ".services", ignore_errors=True)
    assert query(plain, "SELECT 1") == "1"
    wait_until(lambda: first not in processes(plain), 5)
    assert len(processes(plain, "scripts.supervisor")) == 1


def test_services_of_a_deleted_project_stop(plain):
    query(plain, "SELECT 1")
    # PostgreSQL may still write to a folder while it goes.
    while plain.path.exists():
        shutil.rmtree(plain.path, ignore_errors=True)
    wait_until(lambda: not processes(plain), 5)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("PG_VERSION", "17\n", "PostgreSQL 17 made "),
        ("global/pg_control", "damaged", "pg_control"),
    ],
)
def test_failed_start_shows_the_cause_and_the_fix(full, name, content, reason):
    (full / ".services/postgres" / name).write_text(content)
    done = full.run(*RUN, "true", timeout=30)
    assert done.returncode == 1
    assert reason in done.stdout
    assert f"move {full.path}/.services/postgres away" in done.stdout
    # The other server runs on for a while: another command may need only that one.
    wait_until(lambda: not processes(full), 20)


# Servers that the user names


OWN = {
    "POSTGRES_HOST": "db.example.com",
    "POSTGRES_PASSWORD": "secret",
    "REDIS_URL": "redis://cache.example.com/0",
}


@pytest.mark.parametrize(
    "postgres",
    [
        {"DATABASE_URL": "postgres://db.example.com/name"},
        {"POSTGRES_HOST": "db.example.com", "POSTGRES_PASSWORD": "secret"},
    ],
    ids=["url", "parts"],
)
def test_named_servers_are_used_unchanged(full, postgres):
    named = postgres | {"REDIS_URL": "redis://cache.example.com/0"}
    assert server_variables(full, **named) == named
    assert not processes(full)


def test_only_missing_servers_are_started(full):
    supplied = server_variables(full)
    of_postgres = {name for name in supplied if name.startswith("POSTGRES_")}
    of_valkey = supplied.keys() - of_postgres
    named = {"POSTGRES_HOST": "db.example.com", "POSTGRES_PASSWORD": ""}
    assert server_variables(full, **named) == named | {
        name: supplied[name] for name in of_valkey
    }
    named = {"REDIS_URL": "redis://cache.example.com/0"}
    assert server_variables(full, **named) == named | {
        name: supplied[name] for name in of_postgres
    }
    named = {"CELERY_BROKER_URL": "redis://broker.example.com/0"}
    assert server_variables(full, **named) == supplied | named


def test_environment_overrides_the_servers_of_the_env_file(full):
    (full / ".env").write_text("".join(f"{name}={OWN[name]}\n" for name in OWN))
    assert server_variables(full) == OWN
    other = {"POSTGRES_HOST": "other.example.com"}
    assert server_variables(full, **other) == OWN | other
    assert not processes(full)


def test_variables_of_libpq_are_ignored(plain):
    misleading = {"PGPORT": "5999", "PGHOST": "db.example.com", "LC_ALL": "no_SUCH"}
    assert query(plain, "SELECT 1", **misleading) == "1"


# Places and users


def test_services_run_below_a_long_path_with_any_letters(install, tmp_path):
    parts = ["a project", "für Zoë's 日本", "a=b%c{d}#e&(f)*?;!~,@"]
    parts += [60 * "x", 60 * "y", 60 * "z"]
    folder = tmp_path.joinpath(*parts)
    assert len(str(folder)) > 200
    with stopped_afterwards(install(True).copy_to(folder)) as project:
        project.make_ok("lint")
        assert query(project, "SELECT 1") == "1"
        (supervisor,) = processes(project, "scripts.supervisor")
        os.kill(supervisor, signal.SIGKILL)
        assert query(project, "SELECT 1") == "1"
        assert len(processes(project, "valkey-server")) == 1


@pytest.fixture
def reachable(install):
    """Return an installed project where every user of the machine gets to."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        copy = install(True).copy_to(Path(folder, "full"))
        with stopped_afterwards(copy) as project:
            yield project


def give(project, user):
    """Give the project, but not its linked packages, to another user."""
    for folder, names, files in os.walk(project.path):
        if ".venv" in names:
            names.remove(".venv")
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(name, user, user)


def as_nobody(*command):
    """Return a command for another user, who may read root's private Python."""
    return (
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
        *command,
    )


def owners(project):
    """Return the users whom the project's processes belong to."""
    return {Path(f"/proc/{pid}").stat().st_uid for pid in processes(project)}


only_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root, and on Linux, becomes another user",
)


@only_root
def test_services_run_for_a_user_without_a_home(reachable):
    give(reachable, NOBODY)
    select = (*RUN, PYTHON, "-c", QUERY, "SELECT 1")
    done = reachable.run(*as_nobody(*select), HOME="/nonexistent")
    assert done.stdout == "1\n"
    assert owners(reachable) == {NOBODY}


@only_root
def test_run_names_files_of_another_user(plain):
    give(plain, NOBODY)
    give(Project(plain / ".services"), 0)
    done = plain.run(*as_nobody(*RUN, "true"))
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "belongs to another user" in done.stdout


@only_root
def test_root_takes_over_the_data_of_another_user(reachable):
    give(reachable, NOBODY)
    create = (*RUN, PYTHON, "-c", QUERY, "CREATE TABLE kept AS SELECT 'data' AS value")
    assert reachable.run(*as_nobody(*create)).stdout == "done\n"
    reachable.run_ok(*SERVICES, "stop")
    assert query(reachable, "SELECT value FROM kept") == "data"


@only_root
def test_root_becomes_nobody_without_user_namespaces(reachable):
    query(reachable, "CREATE TABLE kept AS SELECT 'data' AS value")
    assert owners(reachable) == {0}
    reachable.run_ok(*SERVICES, "stop")
    unshare = "os.unshare(os.CLONE_NEWUSER)"
    reachable.edit("scripts/supervisor.py", unshare, "raise OSError")
    assert query(reachable, "SELECT value FROM kept") == "data"
    assert owners(reachable) == {NOBODY}


# Ports


@pytest.mark.parametrize("variant", ["plain", "full"])
def test_make_dev_reports_a_port_in_use(request, variant):
    project = request.getfixturevalue(variant)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = project.make("dev", f"PORT={port}", timeout=60)
    assert done.returncode == 2
    assert re.search("port is already in use|[Aa]ddress already in use", done.stdout)
