"""The web server and the worker run in production as the README describes, and stop cleanly."""

import json
import signal
import socket
import threading
import time

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import (
    GUNICORN,
    SECURE,
    SHELL,
    SIGN_IN,
    UPGRADE,
    WORKER,
    add_slow_page,
    fetch,
    production,
    running,
)
from tests.support.project import closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SCRIPT = [".venv/bin/python", "-c"]
# Opens a WebSocket, and prints what happens to it.
WATCH = """
import asyncio, logging, sys, websockets

class Watcher(logging.Handler):
    def emit(self, record):
        if "< PING" in record.getMessage():
            print("pinged", flush=True)

async def main(port, cookie):
    url = f"ws://127.0.0.1:{port}/ws/notifications/"
    headers = {"Cookie": f"sessionid={cookie}"}
    origin = "https://example.com"
    async with websockets.connect(url, origin=origin, additional_headers=headers) as it:
        print("open", flush=True)
        await it.wait_closed()
        print("closed", it.close_code, flush=True)

logging.basicConfig(level=logging.DEBUG, handlers=[Watcher()])
asyncio.run(main(*sys.argv[1:]))
"""
# Prints how many sockets are in the groups of users.
MEMBERS = """
import redis
from django.conf import settings
(host,) = settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"]
layer = redis.from_url(host["address"])
print(sum(layer.zcard(group) for group in layer.keys("asgi:group:*")))
"""
with_sockets = pytest.mark.parametrize(
    "project", ["redis-celery-channels"], indirect=True
)
# Loads the application, as a worker of Gunicorn does, and then prints what the checks
# import, and their results.
FIRST_PROBE = """
import sys
from importlib import import_module

from config import gunicorn

import_module(gunicorn.wsgi_app)
from apps.health.runner import run_checks

before = set(sys.modules)
results = run_checks()
print(sorted(sys.modules.keys() - before), set(results.values()))
"""


@pytest.fixture(scope="module", params=["none", "redis-celery-channels"])
def project(render_for_module, request):
    project = render_for_module(**REDIS_STATES[request.param])
    add_slow_page(project)
    return project.installed()


@pytest.fixture(scope="module")
def environment(project):
    """Yield the variables of production, with a database that is migrated."""
    with project.services() as variables:
        environment = production() | variables
        for command in (["migrate"], ["collectstatic", "--noinput"]):
            manage = (".venv/bin/python", "manage.py", *command)
            project.run_ok(*manage, **environment)
        yield environment


def test_server_starts_the_configured_number_of_processes(project, environment):
    with running(project, WEB_CONCURRENCY="3", **environment) as server:
        status, body = fetch(server.port, "/readyz")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    assert (status, json.loads(body)["release"]) == (200, "1f2e3d")
    assert server.output().count("Booting worker") == 3


def test_server_serves_no_uploads(project, environment):
    (project / "media").mkdir()
    (project / "media/upload.txt").write_text("uploaded")

    with running(project, **environment) as server:
        assert fetch(server.port, "/", **SECURE)[0] == 200
        assert fetch(server.port, "/media/upload.txt", **SECURE)[0] == 404


def test_first_probe_imports_nothing(project, environment):
    done = project.run_ok(".venv/bin/python", "-c", FIRST_PROBE, **environment)

    assert done.stdout == "[] {'ok'}\n"


def test_server_logs_only_json(project, environment):
    with running(project, **environment) as server:
        fetch(server.port, "/healthz?token=secret")
        assert fetch(server.port, "/static/site.css", **SECURE)[0] == 200
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    answer = access_lines(server, "/healthz")[-1]
    assert {"path": "/healthz", "status": 200}.items() <= answer.items()
    assert "secret" not in server.output()
    assert {line["levelname"] for line in server.lines()} == {"INFO"}


def test_quiet_server_answers_on_both_protocols(project, environment):
    with running(project, LOG_LEVEL="WARNING", **environment) as server:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, server.port), timeout=10) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 10.0.0.7\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 200", host
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    assert server.output() == ""


def test_head_request_logs_no_warning(project, environment):
    with running(project, **environment) as server:
        fetch(server.port, "/admin/login/", method="HEAD", **SECURE)

    assert access_lines(server)[-1]["status"] == 200
    assert {line["levelname"] for line in server.lines()} == {"INFO"}


def test_client_that_goes_away_is_no_error(project, environment):
    with running(project, **environment) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            headers = "".join(f"{name}: {value}\r\n" for name, value in SECURE.items())
            client.sendall(f"GET /slow HTTP/1.1\r\n{headers}\r\n".encode())
            time.sleep(0.5)
        wait_until(lambda: access_lines(server, "/slow"), reason=server.output)

    (line,) = access_lines(server, "/slow")
    assert line["status"] < 500
    assert {line["levelname"] for line in server.lines()} == {"INFO"}


@with_sockets
def test_websocket_is_pinged_and_closed_when_the_server_stops(project, environment):
    cookie = project.run_ok(*SHELL, SIGN_IN, **environment).stdout.split()[-1]
    with running(project, WEB_CONCURRENCY="1", **environment) as server:
        watch = [*SCRIPT, WATCH, str(server.port), cookie]
        with running(project, watch, ready="open", **environment) as watcher:
            wait_until(lambda: "pinged" in watcher.output(), seconds=25)
            assert (
                project.run_ok(*SHELL, MEMBERS, **environment).stdout.split()[-1] == "1"
            )
            stopped = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "closed" in watcher.output())
            seconds = time.monotonic() - stopped
            server.process.wait(20)

    assert "closed 1012" in watcher.output()
    assert seconds < 5  # and not the 20 s that requests may take
    # The consumer left its group.
    assert project.run_ok(*SHELL, MEMBERS, **environment).stdout.split()[-1] == "0"


@with_sockets
def test_refused_websocket_is_one_line_without_its_query(project, environment):
    with running(project, **environment) as server:
        status, _ = fetch(
            server.port,
            "/ws/unknown/?token=secret",
            Origin="https://example.com",
            **UPGRADE,
        )

    assert status == 403
    assert server.output().count("/ws/unknown/") == 1
    assert "Traceback" not in server.output()
    assert "secret" not in server.output()


def access_lines(server, path=""):
    """Return what the server logged about requests, or about those of one path."""
    lines = [line for line in server.lines() if line["name"] == "access"]
    return [line for line in lines if line["path"].startswith(path)]


def test_server_finishes_a_request_before_it_stops(project, environment):
    answers = []
    with running(project, **environment) as server:
        thread = threading.Thread(
            target=lambda: answers.append(fetch(server.port, "/slow", **SECURE))
        )
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        server.process.wait(20)

    assert answers == [(200, "done")]
    assert server.process.returncode == 0


@pytest.mark.parametrize("name", ["DJANGO_SECRET_KEY", "SITE_URL", "POSTGRES_HOST"])
def test_server_does_not_start_without_a_required_variable(project, environment, name):
    rest = {key: value for key, value in environment.items() if key != name}

    done = project.run(*GUNICORN, timeout=30, PORT=str(closed_port()), **rest)

    assert done.returncode != 0
    assert name in done.stdout


def test_worker_starts_and_stops(project, environment):
    if not (project / "config" / "celery.py").exists():
        return
    with running(project, command=WORKER, ready=" ready.", **environment) as worker:
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(20)

    assert worker.process.returncode == 0
    assert worker.lines()[-1]["message"] == "worker: Warm shutdown (MainProcess)"
