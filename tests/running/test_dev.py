"""`make dev` serves the project, and its data survive."""

import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import time

import pexpect
import pytest

from tests.support.options import FULL, REDIS_STATES
from tests.support.processes import SIGN_IN, UPGRADE, fetch
from tests.support.project import clean_environment, closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def making(project, *arguments, end):
    """Run make in the background; yield its process, and end it with a signal."""
    process = subprocess.Popen(
        ["make", *arguments],
        cwd=project.path,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, end)
        process.wait(20)


@contextlib.contextmanager
def serving(project):
    """Run `make dev` on a free port; yield a function that sends a request to it."""
    port = closed_port()
    with making(project, "dev", f"PORT={port}", end=signal.SIGINT) as process:

        def answers():
            assert process.poll() is None, "make dev ended"
            with contextlib.suppress(OSError):
                return fetch(port, "/healthz")

        wait_until(answers, reason=lambda: "make dev does not answer")
        yield functools.partial(fetch, port)


@pytest.fixture(scope="module", params=["none", "redis-celery-channels"])
def project(render_for_module, request):
    return render_for_module(**REDIS_STATES[request.param]).installed()


def test_make_dev_serves_health_admin_and_static_files(project):
    with serving(project) as fetch:
        assert fetch("/healthz") == (200, "ok")
        status, body = fetch("/readyz")
        assert status == 200, body
        assert set(json.loads(body)["checks"].values()) == {"ok"}
        status, page = fetch("/admin/login/")
        assert status == 200
        style = re.search(r'href="(/static/admin/css/base[^"]*)"', page).group(1)
        status, css = fetch(style)
        assert status == 200
        assert "body" in css


def test_make_dev_serves_pages_and_uploads(project):
    page = project / "templates/home.html"
    (project / "media").mkdir(exist_ok=True)
    (project / "media/upload.txt").write_text("uploaded")
    with serving(project) as fetch:
        status, body = fetch("/")
        assert status == 200
        assert "<h1>My Project</h1>" in body
        style = re.search(r'href="(/static/site[^"]*)"', body).group(1)
        assert fetch(style)[0] == 200
        assert fetch("/media/upload.txt") == (200, "uploaded")

        def is_changed():
            # Again, because runserver sees no change from before it began to watch.
            page.write_text("changed")
            return fetch("/") == (200, "changed")

        wait_until(is_changed)


def test_data_survives_a_restart_of_the_servers(project):
    create = "ARGS=shell -c \"User.objects.create(username='ann')\""
    count = (
        "ARGS=shell -c \"print('found', User.objects.filter(username='ann').count())\""
    )
    with serving(project):
        project.make_ok("manage", create)
    project.make("services-stop")

    assert "found 1" in project.make("manage", count).stdout


def test_make_migrate_migrates_the_development_database(project):
    pending = ("manage", "ARGS=migrate --check")
    project.make_ok("migrate", "ARGS=sessions zero")
    assert project.make(*pending).returncode != 0

    project.make_ok("migrate")

    project.make_ok(*pending)


def test_createsuperuser_asks_in_the_terminal(project):
    project.make_ok("migrate")
    terminal = pexpect.spawn(
        *("make", ["manage", "ARGS=createsuperuser"]),
        cwd=project.path,
        env=clean_environment(),
        encoding="utf-8",
        timeout=30,
    )
    for question, answer in (
        ("Username", "root"),
        ("Email", "root@example.com"),
        ("Password:", "correct horse battery"),
        ("again", "correct horse battery"),
    ):
        terminal.expect(question)
        terminal.sendline(answer)
    terminal.expect("Superuser created successfully")
    terminal.expect(pexpect.EOF)


def test_make_dev_accepts_websockets(render):
    project = render(**REDIS_STATES["redis-channels"]).installed()
    with serving(project) as fetch:
        (project / "sign_in.py").write_text(SIGN_IN)
        shown = project.make_ok("manage", 'ARGS=shell -c "import sign_in"').stdout
        cookie = f"sessionid={shown.split()[-1]}"
        status, _ = fetch(
            "/ws/notifications/", Cookie=cookie, Origin="http://127.0.0.1", **UPGRADE
        )

    assert status == 101


def test_healthcheck_reports_a_server_that_hangs(render):
    project = render(**REDIS_STATES["redis-celery"]).installed()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        begin = time.monotonic()
        done = project.make(
            *("manage", "ARGS=healthcheck"), REDIS_URL=url, CELERY_BROKER_URL=url
        )

    assert time.monotonic() - begin < 30
    assert "cache: failed: no answer in 3 s" in done.stdout
    assert "broker: failed" in done.stdout
    assert "database: ok" in done.stdout
    assert done.returncode != 0


def test_worker_runs_tasks(render):
    project = render(**REDIS_STATES["redis-celery"]).installed()
    task = (
        "from apps.users.tasks import delete_expired_sessions as task;"
        "result = task.apply_async(ignore_result=False);"
        "print('deleted', result.get(timeout=30))"
    )
    with making(project, "worker", end=signal.SIGTERM):
        project.make_ok("migrate")
        done = project.make("manage", f'ARGS=shell -c "{task}"')

    assert "deleted 0" in done.stdout


def test_beat_keeps_its_file_in_an_ignored_folder(render):
    project = render(**REDIS_STATES["redis-celery"]).installed()
    project.commit()
    with making(project, "beat", end=signal.SIGTERM):
        wait_until(lambda: list(project.path.glob(".services/beat*")))

    assert project.run_ok("git", "status", "--porcelain").stdout == ""


def test_help_lists_every_target_within_80_columns(render):
    project = render(**FULL, use_docker=True, deploy_target="kubernetes")
    targets = re.findall(r"^\.PHONY: (\w\S*)", project.read("Makefile"), re.MULTILINE)

    lines = project.make("help").stdout.splitlines()

    assert [line.split()[0] for line in lines] == targets
    assert max(map(len, lines)) <= 80
