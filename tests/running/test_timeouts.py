"""A page that needs Redis fails in a few seconds when Redis is away; idle waits survive."""

import json
import socket
import time

import pytest

from tests.support.options import FULL
from tests.support.processes import (
    SECURE,
    SHELL,
    WORKER,
    add_urls,
    fetch,
    production,
    running,
)
from tests.support.project import closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

# Does one thing with Redis, and answers how long that took, and its error.
USES = """
import time

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.cache import cache
from django.http import JsonResponse
from django.urls import path

from apps.users.tasks import delete_expired_sessions
from config.urls import urlpatterns

uses = {
    "cache": lambda: cache.get("key"),
    "task": delete_expired_sessions.delay,
    "result": lambda: delete_expired_sessions.apply_async(ignore_result=False),
    "channel": lambda: async_to_sync(get_channel_layer().send)("place", {"type": "it"}),
}

def use(request, name):
    begin = time.monotonic()
    try:
        uses[name]()
        error = None
    except Exception as caught:
        error = str(caught.__cause__ or caught)
    return JsonResponse({"seconds": time.monotonic() - begin, "error": error})

urlpatterns += [path("use/<name>", use)]
"""
# Waits for a message for four seconds before someone sends it.
WAIT = """
import asyncio
from channels.layers import get_channel_layer

async def main():
    layer = get_channel_layer()
    waiting = asyncio.create_task(layer.receive("place"))
    await asyncio.sleep(4)
    await layer.send("place", {"type": "it"})
    print(await waiting)

asyncio.run(main())
"""
SEND = "from apps.users.tasks import delete_expired_sessions as it; it.delay()"
SEND_AND_PRINT_ID = SEND.replace("it.delay()", "print(it.delay().id)")
NAMES = ["cache", "task", "result", "channel"]


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module(**FULL)
    add_urls(project, USES)
    return project.installed()


@pytest.fixture
def silent_port():
    """Yield a port on which a server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_refusing_redis_costs_a_page_three_seconds(project):
    port = closed_port()

    assert_quick(project, port, f"connecting to 127.0.0.1:{port}")


def test_silent_redis_costs_a_page_three_seconds(project, silent_port):
    assert_quick(project, silent_port, "Timeout reading from")


def test_idle_worker_and_receiver_wait_longer_than_the_limit(project):
    with project.services() as services:
        environment = production() | services | {"REDIS_TIMEOUT": "0.5"}
        project.run_ok(".venv/bin/python", "manage.py", "migrate", **environment)
        with running(project, WORKER, ready=" ready.", **environment) as worker:
            received = project.run_ok(*SHELL, WAIT, **environment).stdout
            time.sleep(2)
            assert "received" not in worker.output()
            project.run_ok(*SHELL, SEND, **environment)
            wait_until(
                lambda: " succeeded in " in worker.output(), reason=worker.output
            )
            lines = worker.lines()

    assert received == "{'type': 'it'}\n"
    levels = {it["levelname"] for it in lines if it["name"] != "py.warnings"}
    assert levels == {"INFO"}


def test_failed_task_is_an_error_with_its_id(project):
    with project.services() as services:
        environment = production() | services | {"POSTGRES_DB": "absent"}
        with running(project, WORKER, ready=" ready.", **environment) as worker:
            sent = project.run_ok(*SHELL, SEND_AND_PRINT_ID, **environment)
            task_id = sent.stdout.split()[-1]
            wait_until(
                lambda: f"[{task_id}] raised" in worker.output(), reason=worker.output
            )
            lines = [
                it for it in worker.lines() if f"[{task_id}] raised" in it["message"]
            ]

    assert [it["levelname"] for it in lines] == ["ERROR"]


def assert_quick(project, port, reason):
    """Assert that each use of Redis on this port soon fails for this reason."""
    addresses = {
        "DATABASE_URL": "postgres://db.invalid/db",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }
    environment = production() | addresses
    with running(project, WEB_CONCURRENCY="1", **environment) as server:
        for name in NAMES:
            for attempt in ("cold", "warm"):
                status, body = fetch(server.port, f"/use/{name}", **SECURE)
                result = json.loads(body)
                assert status == 200
                assert reason in result["error"], (name, attempt)
                # Three seconds, and one for a busy machine
                assert result["seconds"] < 4 + (name == "channel"), (name, attempt)
