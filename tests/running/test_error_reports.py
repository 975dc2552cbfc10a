"""Production reports its errors to the DSN, without personal data."""

import contextlib
import gzip
import http.server
import json
import socket
import threading

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import (
    SECURE,
    SHELL,
    WORKER,
    add_page,
    fetch,
    production,
    running,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

BROKEN = """
def page(request):
    password = "secret in a variable"
    raise RuntimeError("broken page")
"""
TASK = """
from celery import shared_task

@shared_task
def broken_task(name):
    raise RuntimeError("broken task")
"""


# How long a report takes, and the flush at the end of a process
SILENT = """
import time, sentry_sdk
begin = time.monotonic()
sentry_sdk.capture_message("broken", level="error")
captured = time.monotonic()
sentry_sdk.flush()
print("spent", captured - begin, time.monotonic() - captured)
"""


@contextlib.contextmanager
def sentry():
    """Yield the DSN of a server that stands in for Sentry, and the events it gets."""
    events = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            lines = [json.loads(line) for line in body.splitlines() if line]
            for header, item in zip(lines[1::2], lines[2::2], strict=True):
                if (
                    header["type"] == "event"
                    and "sentry_key=key" in self.headers["X-Sentry-Auth"]
                ):
                    events.append(item)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", events
        server.shutdown()


@pytest.fixture(scope="module", params=["none", "redis-celery-channels"])
def project(render_for_module, request):
    project = render_for_module(**REDIS_STATES[request.param])
    add_page(project, "broken", BROKEN)
    return project.installed()


@pytest.fixture(scope="module")
def environment(project):
    with project.services() as variables:
        yield production() | variables


def test_error_of_a_page_is_reported_without_personal_data(project, environment):
    headers = SECURE | {
        "X-Forwarded-For": "203.0.113.9",
        "Cookie": "sessionid=secret-cookie",
        "Authorization": "secret-header",
        "X-Request-ID": "3f2",
    }
    with (
        sentry() as (dsn, events),
        running(project, SENTRY_DSN=dsn, **environment) as server,
    ):
        status, _ = fetch(server.port, "/broken?token=secret-query", **headers)
        wait_until(lambda: events, reason=server.output)

    assert status == 500
    (event,) = events
    assert event["exception"]["values"][-1]["value"] == "broken page"
    assert (event["release"], event["environment"]) == ("1f2e3d", "example.com")
    assert event["tags"]["request_id"] == "3f2"
    assert event["request"]["url"].endswith("example.com/broken")
    sent = json.dumps(event)
    assert "user" not in event
    assert "203.0.113.9" not in sent
    for secret in ("secret-cookie", "secret-header", "secret-query"):
        assert secret not in sent
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert not any("vars" in frame for frame in frames)


def test_error_of_a_command_is_reported(project, environment):
    with sentry() as (dsn, events):
        variables = environment | {"SENTRY_DSN": dsn, "SENTRY_ENVIRONMENT": "staging"}
        done = project.run(*SHELL, "1 / 0", **variables)

    assert done.returncode != 0
    (event,) = events
    assert event["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert event["environment"] == "staging"


@pytest.mark.parametrize("project", ["redis-celery-channels"], indirect=True)
def test_error_of_a_task_is_reported(project, environment):
    (project / "apps" / "users" / "tasks.py").write_text(TASK)
    send = "from apps.users.tasks import broken_task; broken_task.delay('secret-name')"
    with sentry() as (dsn, events):
        variables = environment | {"SENTRY_DSN": dsn}
        with running(project, command=WORKER, ready=" ready.", **variables) as worker:
            project.run_ok(*SHELL, send, **environment)
            wait_until(lambda: events, reason=worker.output)

    (event,) = events
    assert event["exception"]["values"][-1]["value"] == "broken task"
    assert "secret-name" not in json.dumps(event)


def test_silent_server_costs_a_page_nothing_and_a_command_seconds(project, environment):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"http://key@127.0.0.1:{silent.getsockname()[1]}/1"
        done = project.run_ok(*SHELL, SILENT, **environment | {"SENTRY_DSN": dsn})

    capture, flush = map(float, done.stdout.partition("spent ")[2].split()[:2])
    assert capture < 1
    assert 1 < flush < 5


def test_nothing_is_reported_without_a_dsn(project, environment):
    check = "import sentry_sdk; print(sentry_sdk.is_initialized())"

    for variables in ({}, {"SENTRY_DSN": ""}):
        done = project.run_ok(*SHELL, check, **environment | variables)
        assert done.stdout.split()[-1] == "False"


def test_dsn_that_is_none_is_refused_by_name(project, environment):
    done = project.run(
        ".venv/bin/python", "manage.py", "check", SENTRY_DSN="example", **environment
    )

    assert done.returncode != 0
    assert 'Environment variable "SENTRY_DSN" invalid' in done.stdout
