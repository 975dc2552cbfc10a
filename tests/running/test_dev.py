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

import pytest

from tests.support.options import FULL, REDIS_STATES
from tests.support.processes import SIGN_IN, UPGRADE, fetch
from tests.support.project import clean_environment, closed_port
from tests.support.terminal import ENTER, Terminal
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


OUTPUT = "reports/output"
PORT = (".venv/bin/python", "-m", "scripts.port")
# A time in which 15 s pass in each second: any limit of time ends early.
FAST = """
import time

real = time.monotonic
begin = real()
time.monotonic = lambda: begin + 15 * (real() - begin)
"""
# Blocks all other requests, like a breakpoint, for 45 s of that time.
BLOCK = """
import time
from django.http import HttpResponse
from django.urls import path
from config.urls import urlpatterns

async def page(request):
    time.sleep(3)
    return HttpResponse("done")

urlpatterns += [path("block", page)]
"""
# Returns "old" after two seconds, and writes down that it begins and ends.
TASK = """

@shared_task
def slow():
    import time

    with open("ran", "a") as file:
        print("begin", file=file, flush=True)
        time.sleep(2)
        print("end", file=file)
    return "old"
"""


@contextlib.contextmanager
def making(project, *arguments, end, output=OUTPUT, **variables):
    """Run make in the background; yield its process, and end it with a signal.

    Its output is in a file that git ignores.
    """
    (project / output).parent.mkdir(exist_ok=True)
    with (project / output).open("w") as output:
        process = subprocess.Popen(
            ["make", *arguments],
            cwd=project.path,
            env=clean_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, end)
        process.wait(20)


@contextlib.contextmanager
def serving(project, **variables):
    """Run `make dev` on a free port; yield a function that sends a request to it."""
    port = closed_port()
    options = ["dev", f"PORT={port}"]
    with making(project, *options, end=signal.SIGINT, **variables) as process:

        def answers():
            assert process.poll() is None, project.read(OUTPUT)
            with contextlib.suppress(OSError):
                return fetch(port, "/healthz")

        wait_until(answers, reason=lambda: project.read(OUTPUT))
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
        assert 'id="djDebug"' in body
        script = re.search(r'src="(/static/debug_toolbar/[^"]*js)"', body).group(1)
        assert fetch(script)[0] == 200
        panel = re.search(r'data-render-panel-url="([^"]*)"', body).group(1)
        identifier = re.search(r'data-request-id="([^"]*)"', body).group(1)
        query = f"?request_id={identifier}&panel_id=TemplatesPanel"
        status, content = fetch(panel + query)
        assert status == 200
        assert "base.html" in content

        def is_changed():
            # Again, because runserver sees no change from before it began to watch.
            page.write_text("changed")
            return fetch("/") == (200, "changed")

        text = page.read_text()
        wait_until(is_changed)
        # Other tests share the project.
        page.write_text(text)


@pytest.mark.parametrize("debug", [True, False])
def test_toolbar_needs_debug_and_no_address(project, debug):
    code = (
        "from django.test import Client;"
        "client = Client(REMOTE_ADDR='172.18.0.1', SERVER_NAME='localhost');"
        "print(client.get('/').content.decode())"
    )

    page = project.run_ok(
        *(".venv/bin/python", "manage.py", "shell", "--command", code),
        DJANGO_DEBUG=str(debug),
    ).stdout

    assert ("djDebug" in page) == debug
    assert "</html>" in page


def test_simultaneous_make_dev_take_the_next_free_ports(project):
    outputs = [f"{OUTPUT}-{number}" for number in range(2)]

    def announced(output):
        text = r"Port 8000 is in use: serving on http://localhost:(\d+) instead"
        return re.search(text, project.read(output))

    def answers(port):
        with contextlib.suppress(OSError):
            return fetch(port, "/healthz") == (200, "ok")

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # Another program may use it.
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        for output in outputs:
            stack.enter_context(
                making(project, "dev", end=signal.SIGINT, output=output)
            )
        ports = set()
        for output in outputs:
            reason = functools.partial(project.read, output)
            port = int(
                wait_until(functools.partial(announced, output), reason=reason)[1]
            )
            wait_until(functools.partial(answers, port), reason=reason)
            ports.add(port)

        assert len(ports) == len(outputs)
        # uvicorn reports an error about the protocol "lifespan", which Channels lacks.
        assert "'lifespan' protocol" not in "".join(map(project.read, outputs))


def test_simultaneous_commands_get_different_ports(project):
    for _ in range(3):
        commands = [
            subprocess.Popen(
                [*PORT, "sh", "-c", "echo $PORT; exec sleep 60"],
                cwd=project.path,
                env=clean_environment(),
                stdout=subprocess.PIPE,
            )
            for _ in range(4)
        ]
        ports = {command.stdout.readline() for command in commands}
        for command in commands:
            command.terminate()
            command.communicate()

        assert len(ports) == len(commands)


def test_make_dev_refuses_a_given_port_that_is_in_use(project):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = project.make("dev", f"PORT={port}")

    assert done.returncode == 2
    sentence = f"Set another PORT than {port}: Address already in use.\n"
    assert done.stdout.startswith(sentence)  # and not with the command
    assert "Running migrations" not in done.stdout


def test_make_dev_refuses_a_port_that_is_no_number(project):
    done = project.make("dev", PORT="http")

    assert done.returncode == 2
    assert "Set another PORT than http: invalid literal" in done.stdout


def test_make_dev_serves_static_files_without_debug(project):
    with serving(project, DJANGO_DEBUG="false") as fetch:
        status, body = fetch("/")
        assert status == 200
        style = re.search(r'href="(/static/site[^"]*)"', body).group(1)
        assert fetch(style)[0] == 200
        assert fetch("/nowhere")[0] == 404
        assert "<h1>" in fetch("/nowhere")[1]


@pytest.mark.parametrize("target", ["manage", "run"])
def test_target_without_a_command_shows_how_to_name_one(project, target):
    done = project.make(target)

    assert done.returncode == 2
    assert f"Name the command: make {target} ARGS=" in done.stdout
    assert "usage" not in done.stdout


def test_breakpoint_in_an_async_view_has_no_limit_of_time(render, tmp_path):
    project = render(**REDIS_STATES["redis-channels"]).installed()
    (project / "config/more_urls.py").write_text(BLOCK)
    with (project / "config/settings/local.py").open("a") as settings:
        settings.write('ROOT_URLCONF = "config.more_urls"\n')
    (tmp_path / "sitecustomize.py").write_text(FAST)

    with serving(project, PYTHONPATH=str(tmp_path)) as fetch:
        assert fetch("/block") == (200, "done")


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
    terminal = Terminal("make", "manage", "ARGS=createsuperuser", cwd=project.path)
    for question, answer in (
        ("Username", "root"),
        ("Email", "root@example.com"),
        ("Password:", "correct horse battery"),
        ("again", "correct horse battery"),
    ):
        terminal.child.expect(question)
        terminal.child.send(answer + ENTER)
    terminal.child.expect("Superuser created successfully")
    terminal.child.expect(terminal.end)
    terminal.close()


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


def test_worker_finishes_its_task_before_it_loads_changed_code(render):
    project = render(**REDIS_STATES["redis-celery"])
    with (project / "apps/users/tasks.py").open("a") as file:
        file.write(TASK)
    project.installed()
    send = 'ARGS=shell -c "from apps.users.tasks import slow; slow.delay()"'

    def ran():
        file = project / "ran"
        return file.read_text().split() if file.exists() else []

    with making(project, "worker", end=signal.SIGINT) as worker:
        project.make_ok("manage", send)
        wait_until(ran, reason=lambda: project.read(OUTPUT))
        project.edit("apps/users/tasks.py", 'return "old"', 'return "new"')
        project.make_ok("manage", send)
        wait_until(
            lambda: "succeeded" in project.read(OUTPUT)
            and "'new'" in project.read(OUTPUT),
            reason=lambda: project.read(OUTPUT),
        )

    assert ran() == ["begin", "end", "begin", "end"]
    with pytest.raises(ProcessLookupError):  # Nothing is left of its processes.
        os.killpg(worker.pid, 0)


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
