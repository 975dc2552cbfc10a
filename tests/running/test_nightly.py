"""`make wait` and `make newest`: what the nightly pipeline adds."""

import shutil
import socket
import sys
import threading
import time

import pytest

from tests.support.options import FULL
from tests.support.project import closed_port

PASSWORD = "kept-to-itself"

# make wait


@pytest.fixture(scope="module")
def project(render_for_module):
    """Return an installed project with every server; PostgreSQL requires a password."""
    project = render_for_module(**FULL).installed()
    project.make_ok("wait")  # No variable names a server: the embedded ones answer.
    project.make("services-stop")
    rules = project / ".services/postgres/pg_hba.conf"
    rules.write_text(f"local all stranger scram-sha-256\n{rules.read_text()}")
    return project


@pytest.fixture(scope="module")
def servers(project):
    with project.services() as variables:
        yield variables


def wait(project, seconds, **variables):
    """Run `make wait`; return its exit code, its sentences, and how long it took."""
    begin = time.monotonic()
    done = project.make("wait", f"ARGS={seconds}", **variables)
    lines = [line for line in done.stdout.splitlines() if "scripts.wait" not in line]
    printed = [line for line in lines if not line.startswith("make")]
    assert PASSWORD not in done.stdout
    return done.returncode, printed, time.monotonic() - begin


def address(variable, port):
    """Return the variables that name a server with a password on this port."""
    if variable == "POSTGRES_HOST":
        return {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(port),
            "POSTGRES_PASSWORD": PASSWORD,
        }
    scheme = "postgres" if variable == "DATABASE_URL" else "redis"
    return {variable: f"{scheme}://someone:{PASSWORD}@127.0.0.1:{port}/0"}


NAMES = {
    "POSTGRES_HOST": "PostgreSQL at 127.0.0.1:{}",
    "DATABASE_URL": "PostgreSQL at 127.0.0.1:{}",
    "REDIS_URL": "Redis at 127.0.0.1:{} (REDIS_URL)",
    "CELERY_BROKER_URL": "Redis at 127.0.0.1:{} (CELERY_BROKER_URL)",
    "CELERY_RESULT_BACKEND": "Redis at 127.0.0.1:{} (CELERY_RESULT_BACKEND)",
    "CHANNEL_LAYER_URL": "Redis at 127.0.0.1:{} (CHANNEL_LAYER_URL)",
}


@pytest.mark.slow
@pytest.mark.parametrize("variable", NAMES)
def test_wait_names_a_missing_server(project, servers, variable):
    port = closed_port()

    code, printed, seconds = wait(project, 1, **servers | address(variable, port))

    assert code == 2
    assert len(printed) == 1
    assert printed[0].startswith(
        f"{NAMES[variable].format(port)} gave no connection in "
    )
    assert printed[0].partition(" s: ")[2].rstrip(".").endswith("Connection refused")
    assert seconds < 30  # not the default of 60


@pytest.mark.slow
def test_wait_checks_silent_servers_in_parallel(project):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        named = {}
        for variable in NAMES.keys() - {"DATABASE_URL"}:
            named |= address(variable, port)
        code, printed, seconds = wait(project, 1, **named)

    assert code == 2
    assert {line.partition(" gave ")[0] for line in printed} == {
        name.format(port) for name in NAMES.values()
    }
    assert seconds < 14  # one after the other: 15


@pytest.mark.slow
def test_wait_does_not_need_the_database_itself(project, servers):
    code, printed, _ = wait(project, 1, **servers | {"POSTGRES_DB": "not_yet"})

    assert code == 0, printed


@pytest.mark.slow
def test_wait_refuses_a_time_that_is_no_number(project):
    code, said, _ = wait(project, "soon")

    assert code == 2
    assert said == ["Set ARGS to a number of seconds, not 'soon'."]


@pytest.mark.slow
def test_wait_ends_when_the_last_server_answers(project, servers, tmp_path):
    late = tmp_path / "late"
    sockets = servers["POSTGRES_HOST"]
    named = {name: value.replace(sockets, str(late)) for name, value in servers.items()}
    begin = time.monotonic()
    timer = threading.Timer(3, late.symlink_to, [sockets])
    timer.start()

    code, printed, _ = wait(project, 60, **named)

    assert code == 0, printed
    assert 3 < time.monotonic() - begin < 30


@pytest.mark.slow
def test_wait_reports_a_wrong_password_immediately(project, servers):
    stranger = {"POSTGRES_USER": "stranger", "POSTGRES_PASSWORD": PASSWORD}
    code, printed, seconds = wait(project, 60, **servers | stranger)
    assert code == 2
    assert printed[0].endswith('password authentication failed for user "stranger"')
    assert seconds < 30

    url = servers["REDIS_URL"].replace("unix://", f"unix://stranger:{PASSWORD}@")
    code, printed, seconds = wait(project, 60, **servers | {"REDIS_URL": url})
    assert code == 2
    assert "(REDIS_URL)" in printed[0]
    assert "invalid username-password pair" in printed[0]
    assert seconds < 30


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_wait_never_prints_an_unencoded_password(project, servers, variable):
    # Up to the slash, this would be a port.
    url = address(variable, 1)[variable].replace(PASSWORD, f"{PASSWORD}/more")

    code, printed, _ = wait(project, 1, **servers | {variable: url})

    assert code == 2
    assert len(printed) == 1
    assert variable in printed[0]


# make newest


@pytest.fixture(scope="module")
def outdated(render_for_module):
    """A project whose pins are the newest but for sqlparse, which is older."""
    project = render_for_module(coverage_threshold=0).with_one_short_test()
    done = project.make("lock", "ARGS=--upgrade --upgrade-package sqlparse==0.5.3")
    assert "sqlparse==0.5.3" in project.read("requirements-dev.txt"), done.stdout
    # As a night before sqlparse was renewed left them.
    (project / ".cache/newest").mkdir(parents=True)
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(project / name, project / ".cache/newest")
    project.commit()
    return project


@pytest.mark.slow
def test_newest_runs_the_gates_and_changes_no_tracked_file(
    outdated,
):
    done = outdated.make_ok("newest")

    assert outdated.run("git", "status", "--porcelain").stdout == ""
    (newer,) = [line for line in done.stdout.splitlines() if " -> " in line]
    assert newer.startswith("  sqlparse 0.5.3 -> ")
    assert newer in outdated.read("reports/newest.txt")
    assert done.stdout.index(newer) < done.stdout.index("Running lint")
    version = newer.split()[-1]
    installed = (outdated / ".cache/newest/.venv").glob(
        "lib/*/site-packages/sqlparse-*"
    )
    assert [path.name for path in installed] == [f"sqlparse-{version}.dist-info"]
    # It shares neither the environment nor the servers of the developer.
    assert not (outdated / ".venv").exists()
    assert not (outdated / ".services").exists()
    outdated.run(".cache/newest/.venv/bin/python", "-m", "scripts.services", "stop")


@pytest.mark.slow
def test_newest_lists_the_versions_when_it_fails(outdated):
    test = outdated / "tests/test_version.py"
    test.write_text(
        "from importlib.metadata import version\n\n\n"
        "def test_version():\n"
        '    assert version("sqlparse") == "0.5.3"\n'
    )
    red, green = outdated.make("newest"), outdated.make("ci")
    test.unlink()
    outdated.run(".cache/newest/.venv/bin/python", "-m", "scripts.services", "stop")

    assert green.returncode == 0, green.stdout
    assert red.returncode == 2
    lines = [line for line in red.stdout.splitlines() if not line.startswith("make[")]
    assert ": test] Error" in red.stdout
    assert lines[-4] == "Newer than the pinned versions:"
    assert lines[-3].startswith("  sqlparse 0.5.3 -> ")
    assert lines[-2].startswith("make ci fails with these versions.")


PINNED = """\
django==6.1 \\
    --hash=sha256:aaaa
typing-extensions==4.16.0 ; python_full_version < '3.13' \\
    --hash=sha256:bbbb
"""


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        (
            ("sha256:aaaa", "sha256:cccc"),
            ["The pinned versions are the newest that pyproject.toml allows."],
        ),
        (
            ("django==6.1 ", "django==6.1.1 "),
            ["Newer than the pinned versions:", "  django 6.1 -> 6.1.1"],
        ),
        (
            ("typing-extensions==", "asgiref==3.9 ; python_version < '3.13' \\\n"),
            ["Newer than the pinned versions:", "  asgiref (none) -> 3.9"],
        ),
    ],
    ids=["other-hash", "newer", "added-and-removed"],
)
def test_newer_lists_only_versions_that_are_not_pinned(
    rendered, tmp_path, change, listed
):
    for name, text in (("pinned", PINNED), ("newest", PINNED.replace(*change))):
        (tmp_path / name).write_text(text)

    done = rendered().run_ok(
        *(sys.executable, "scripts/newer.py"),
        *(str(tmp_path / name) for name in ("pinned", "newest")),
    )

    assert done.stdout.splitlines() == listed


def test_newer_fails_for_a_file_without_packages(rendered, tmp_path):
    (tmp_path / "pinned").write_text(PINNED)
    (tmp_path / "newest").write_text("")

    done = rendered().run(
        *(sys.executable, "scripts/newer.py"),
        *(str(tmp_path / name) for name in ("pinned", "newest")),
    )

    assert done.returncode == 1
    assert done.stdout.endswith("/newest pins no package.\n")
