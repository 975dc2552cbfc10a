import asyncio
import logging

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer

from apps.health.runner import run_checks
from config.asgi import application
from config.socket_logs import SocketFilter

pytestmark = pytest.mark.django_db(transaction=True)
TIMEOUT = 60  # seconds, more than a busy machine needs


async def connect(cookie="", path="/ws/notifications/"):
    """Open the socket as a browser does; return it, and the server's answer."""
    headers = {"host": "testserver", "origin": "http://testserver", "cookie": cookie}
    socket = ApplicationCommunicator(
        application,
        {
            "type": "websocket",
            "path": path,
            "headers": [
                (key.encode(), value.encode()) for key, value in headers.items()
            ],
        },
    )
    await socket.send_input({"type": "websocket.connect"})
    return socket, await socket.receive_output(timeout=TIMEOUT)


def test_idle_socket_stays_open(settings):
    (host,) = settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"]

    assert host["socket_timeout"] > get_channel_layer().brpop_timeout


def test_open_socket_does_not_fail_the_probe(admin_client):
    @async_to_sync
    async def probe():
        socket, _ = await connect(admin_client.cookies.output(header=""))
        await asyncio.sleep(0.2)  # After this, the consumer waits for messages.
        results = await asyncio.to_thread(run_checks)
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(timeout=TIMEOUT)
        return results

    assert probe()["channel_layer"] == "ok"


def test_line_of_a_socket_has_no_query():
    message = '%s - "WebSocket %s" [accepted]'
    record = logging.makeLogRecord({"msg": message, "args": ("::1", "/ws/?token=1")})

    assert SocketFilter().filter(record)
    assert record.getMessage() == '::1 - "WebSocket /ws/" [accepted]'


def test_socket_with_an_unknown_path_is_refused():
    _, answer = async_to_sync(connect)(path="/ws/unknown/")

    assert answer["type"] == "websocket.close"
