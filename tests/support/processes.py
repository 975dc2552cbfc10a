"""The processes of a generated project, as production runs them."""

import contextlib
import http.client
import json
import socket
import socketserver
import subprocess
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import clean_environment, closed_port
from tests.support.waiting import wait_until

GUNICORN = [".venv/bin/gunicorn", "--config", "config/gunicorn.py"]
WORKER = [
    ".venv/bin/celery",
    *["--quiet", "--app", "config", "worker"],
]
SHELL = [".venv/bin/python", "manage.py", "shell", "--verbosity=0", "--command"]
SECURE = {"Host": "example.com", "X-Forwarded-Proto": "https"}  # what a proxy sends
# What a browser sends to open a WebSocket.
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
# Prints the cookie of a new session.
SIGN_IN = """
from django.test import Client
from apps.users.models import User
client = Client()
client.force_login(User.objects.create(username="ann"))
print(client.cookies["sessionid"].value)
"""
PAGE = """
from django.urls import path
from config.urls import urlpatterns
{view}
urlpatterns += [path("{path}", page)]
"""
SLOW = """
import time
from django.http import HttpResponse

def page(request):
    time.sleep(2)
    return HttpResponse("done")
"""


def add_urls(project, source):
    """Give production the source of a module with `urlpatterns`, in place of its own."""
    (project / "config" / "more_urls.py").write_text(source)
    with (project / "config/settings/production.py").open("a") as settings:
        settings.write('ROOT_URLCONF = "config.more_urls"\n')


def add_page(project, path, view):
    """Give production a page, with the source of a view that is named "page"."""
    add_urls(project, PAGE.format(path=path, view=view))


def add_slow_page(project):
    """Give a project a page that answers "done" after two seconds."""
    add_page(project, "slow", SLOW)


def production():
    """Return the variables of production, except those of its servers."""
    return {
        # A project with an environment has a .env for development.
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DJANGO_SECRET_KEY": 50 * "x",
        "SITE_URL": "https://example.com",
        "RELEASE": "1f2e3d",
    }


@dataclass
class Running:
    """A process, the port it serves on, and the file it writes to."""

    process: subprocess.Popen
    port: int
    log: Path

    def output(self):
        return self.log.read_text()

    def lines(self):
        """Return what a process logs in production: an object for each line."""
        return [json.loads(line) for line in self.output().splitlines()]


@contextlib.contextmanager
def running(project, command=GUNICORN, *, ready=None, **variables):
    """Run a process of the project; yield once it answers, or reports that it is ready."""
    port, log = closed_port(), project / f"server-{uuid.uuid4()}.log"
    environment = clean_environment(PORT=str(port), **variables)
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=project.path, env=environment, stdout=file, stderr=file
        )
    try:
        wait_until_ready(process, port, log, ready)
        yield Running(process, port, log)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(process, port, log, ready):
    """Wait until /healthz answers, or until the log has the text `ready`, if there is one.

    Raises AssertionError, with the log, if the process ends.
    """

    def is_ready():
        assert process.poll() is None, log.read_text()
        if ready:
            return ready in log.read_text()
        with contextlib.suppress(OSError):
            return fetch(port, "/healthz")

    wait_until(is_ready, reason=log.read_text)


@contextlib.contextmanager
def relay(path):
    """Serve a Unix socket on a port of 127.0.0.1, which containers reach; yield the port."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(path)
                ways = ((self.request, server), (server, self.request))
                threads = [threading.Thread(target=pass_on, args=way) for way in ways]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def pass_on(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def fetch(port, path, method="GET", **headers):
    """Return the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
