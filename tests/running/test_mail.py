"""Production sends mail through the server of its variables, within a limit of time."""

import contextlib
import socketserver
import threading

import pytest

from tests.support.options import REDIS_STATES, choices

pytestmark = pytest.mark.slow

SEND = """
import django
django.setup()
from django.core.mail import mail_admins, send_mail
from django.conf import settings
admin = "admin@example.com"
settings.ADMINS = [("Admin", admin)] if django.VERSION < (6, 0) else [admin]
send_mail("Hello", "Text", None, ["ann@example.com"])
mail_admins("Help", "Text")
"""
GREETING = b"220 ready\r\n"


class Session(socketserver.StreamRequestHandler):
    """Speak as much SMTP as a message needs; record what the client says."""

    def handle(self):
        self.wfile.write(self.server.greeting)
        for line in self.rfile:
            said = line.decode().strip()
            self.server.said.append(said)
            if said.upper() == "DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
            self.wfile.write(
                b"221 bye\r\n" if said.upper() == "QUIT" else b"250 ok\r\n"
            )


@contextlib.contextmanager
def mail_server(greeting=GREETING):
    """Serve mail on a port of its own; yield the server, with what clients `said`."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        server.greeting, server.said = greeting, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module", params=choices("django_version"))
def project(render_for_module, request):
    answers = REDIS_STATES["none"] | {"django_version": request.param}
    return render_for_module(**answers).installed()


def send(project, server, **variables):
    """Send two messages of a production; return what `Project.run` does."""
    variables |= project.toml("tests/production.toml")
    variables |= {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(server.server_address[1]),
    }
    return project.run(".venv/bin/python", "-c", SEND, timeout=60, **variables)


def senders(server):
    return [
        line.split()[1].lower()
        for line in server.said
        if line.upper().startswith("MAIL FROM")
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["webmaster@example.com", "webmaster@example.com"]),
        ({"DEFAULT_FROM_EMAIL": "a@b.com"}, ["a@b.com", "a@b.com"]),
        ({"SERVER_EMAIL": "c@d.com"}, ["webmaster@example.com", "c@d.com"]),
    ],
)
def test_mail_has_the_sender_of_its_variables(project, variables, expected):
    with mail_server() as server:
        done = send(project, server, **variables)

    assert done.returncode == 0, done.stdout
    assert senders(server) == [f"from:<{sender}>" for sender in expected]


def test_silent_mail_server_costs_its_limit(project):
    with mail_server(greeting=b"") as server:
        done = send(project, server, EMAIL_TIMEOUT="0.5")

    assert "TimeoutError" in done.stdout


def test_ssl_begins_with_the_connection(project):
    with mail_server() as server:
        done = send(project, server, EMAIL_USE_SSL="true")

    assert "SSLError" in done.stdout
