import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator

from apps.users.consumers import notify
from config.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)
TIMEOUT = 60  # seconds, more than a busy machine needs


async def connect(cookie=""):
    """Open the socket as a browser does; return it, and the server's answer."""
    headers = {"host": "testserver", "origin": "http://testserver", "cookie": cookie}
    socket = ApplicationCommunicator(
        application,
        {
            "type": "websocket",
            "path": "/ws/notifications/",
            "headers": [
                (key.encode(), value.encode()) for key, value in headers.items()
            ],
        },
    )
    await socket.send_input({"type": "websocket.connect"})
    return socket, await socket.receive_output(timeout=TIMEOUT)


@async_to_sync
async def receive_notification(cookie, user):
    """Return what a signed-in user's socket gets when the user is notified."""
    socket, answer = await connect(cookie)
    assert answer["type"] == "websocket.accept"
    await notify(user, {"text": "Hello"})
    message = await socket.receive_output(timeout=TIMEOUT)
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(timeout=TIMEOUT)
    return json.loads(message["text"])


def test_signed_in_user_is_notified(admin_client, admin_user):
    message = receive_notification(admin_client.cookies.output(header=""), admin_user)

    assert message == {"text": "Hello"}


def test_anonymous_visitor_is_refused():
    _, answer = async_to_sync(connect)()

    assert answer["type"] == "websocket.close"
