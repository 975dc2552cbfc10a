"""The smoke test accepts only /readyz, and ends in time whatever the server does."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from typing import NamedTuple

import pytest

from tests.deployment.platforms.base import CLOCK
from tests.support.processes import production, running
from tests.support.project import clean_environment, closed_port

READY = {"status": "ok", "release": "new", "checks": {"database": "ok"}}
OLD = READY | {"release": "old"}
NOT_READY = {
    "status": "failed",
    "release": "new",
    "checks": {"database": "failed: Error"},
}


class Server(NamedTuple):
    """The URL of a server, and the requests that it received."""

    url: str
    requests: list


def answer(status, body, **headers):
    """Return the bytes of a response; a body that is not text becomes JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(text)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", text]).encode()


@contextlib.contextmanager
def serving(*behaviours):
    """Serve each connection with the next behaviour, and all others with the last one.

    A behaviour is a response, or a function of the connection.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        requests = []

        def serve():
            for number in range(1000):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    requests.append(connection.recv(65_536))
                    behaviour = behaviours[min(number, len(behaviours) - 1)]
                    if callable(behaviour):
                        behaviour(connection)
                    else:
                        connection.sendall(behaviour)

        threading.Thread(target=serve, daemon=True).start()
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", requests)
        listener.shutdown(socket.SHUT_RDWR)


def endless_body(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65_536)


def slow_body(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    drip(connection, b" " * 1000)


def slow_headers(connection):
    drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100)


def drip(connection, text):
    for number in range(len(text)):
        connection.sendall(text[number : number + 1])
        time.sleep(0.2)


def silence(connection):
    time.sleep(20)


@pytest.fixture
def smoke(rendered):
    """Return a function that tests a URL; it returns the exit code, the output and the time."""
    read_only = rendered(deploy_target="heroku")

    def smoke(*arguments, seconds=1, project=read_only, **variables):
        begin = time.monotonic()
        done = subprocess.run(
            ["python3", "-B", project / "deploy/smoke.py", *arguments],
            env=clean_environment(SMOKE_SECONDS=str(seconds), **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, time.monotonic() - begin

    return smoke


# A healthy server


def test_expected_release_passes_the_smoke_test(smoke):
    with serving(answer(200, READY)) as server:
        done = smoke(server.url, "new")
        assert done[:2] == (0, f"{server.url} is ready and runs release new.\n")
        assert server.requests[0].startswith(b"GET /readyz?smoke=")


def test_any_release_passes_without_an_expected_one(smoke):
    with serving(answer(200, OLD)) as server:
        assert smoke(server.url)[0] == 0


def test_ready_site_is_tested_without_a_pause(smoke, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import time\n\ndel time.sleep\n")
    with serving(answer(200, READY)) as server:
        assert smoke(server.url, PYTHONPATH=tmp_path)[0] == 0


def test_each_change_is_printed_once_while_waiting(smoke):
    broken = answer(502, "<html>")
    old, not_ready = answer(200, OLD), answer(503, NOT_READY)
    with serving(old, old, broken, not_ready, answer(200, READY)) as server:
        url = server.url
        code, text, _ = smoke(url, "new", seconds=30, PYTHONPATH=CLOCK)

    assert code == 0
    assert text.splitlines() == [
        f"{url}: it runs release old, not new",
        f"{url}: it responds with 502",
        f"{url}: release new is not ready: database",
        f"{url} is ready and runs release new.",
    ]


# An unhealthy server


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (answer(200, OLD), "it runs release old, not new"),
        (answer(503, NOT_READY), "release new is not ready: database"),
        (
            answer(503, "<html>No dyno</html>"),
            "it responds with 503, but not in the for",
        ),
        (answer(500, "Server Error"), "it responds with 500"),
        (answer(400, "Bad Request"), "it responds with 400"),
        (answer(404, READY), "it responds with 404"),
        (
            answer(301, "", Location="https://127.0.0.1/readyz"),
            "it redirects (301), which /readyz never does",
        ),
        (
            answer(200, "<html>"),
            "it responds with 200, but not in the format of /readyz",
        ),
        (answer(200, '"ok"'), "it responds with 200, but not in the format of /readyz"),
        (answer(200, "[]"), "it responds with 200, but not in the format of /readyz"),
        (
            answer(200, {"release": "new"}),
            "it responds with 200, but not in the format of /readyz",
        ),
        (endless_body, "it responds with 200, but not in the format of /readyz"),
        (slow_body, "no complete response in time"),
        (slow_headers, "no complete response in time"),
        (silence, "no complete response in time"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the response is unreadable"),
        (b"", "the response is unreadable"),
    ],
)
def test_unhealthy_server_is_reported_in_time(smoke, behaviour, reason):
    with serving(behaviour) as server:
        code, text, took = smoke(server.url, "new")

    assert code == 1
    last = text.splitlines()[-1]
    assert last.startswith(f"{server.url} was not ready after 1 s: {reason}")
    assert took < 8


def test_last_reason_of_several_is_reported(smoke):
    with serving(answer(502, "<html>"), answer(200, OLD)) as server:
        code, text, _ = smoke(server.url, "new", seconds=2)

    assert code == 1
    reason = "it runs release old, not new"
    assert text.endswith(f"{server.url} was not ready after 2 s: {reason}.\n")


def test_last_request_has_time_for_the_real_reason(smoke):
    def slow(connection):
        time.sleep(0.4)
        connection.sendall(answer(503, NOT_READY))

    with serving(slow) as server:
        _, text, took = smoke(server.url, PYTHONPATH=CLOCK)

    reason = "release new is not ready: database"
    assert text.endswith(f"{server.url} was not ready after 1 s: {reason}.\n")
    assert took < 8


def test_refused_connection_is_reported(smoke):
    url = f"http://127.0.0.1:{closed_port()}"
    code, text, _ = smoke(url)

    assert code == 1
    assert text.endswith(f"{url} was not ready after 1 s: it refuses connections.\n")


def test_unknown_name_is_reported(smoke):
    code, text, took = smoke("https://unknown.invalid")

    assert code == 1
    assert "was not ready after 1 s: its host name does not resolve." in text
    assert took < 8


def test_server_without_tls_is_reported(smoke):
    with serving(answer(400, "plain HTTP")) as server:
        code, text, _ = smoke(server.url.replace("http", "https"))

    assert code == 1
    assert "the response is unreadable (SSLError)" in text


# Invalid arguments


@pytest.mark.parametrize(
    ("arguments", "seconds", "sentence"),
    [
        ([], 1, "Usage: make smoke URL=https://example.com [RELEASE=commit]"),
        (["", "0123abcd"], 1, "Usage: "),
        (["https://a.example", "b", "c"], 1, "Usage: "),
        (["example.com"], 1, "Use a full URL such as https://example.com"),
        (["localhost:8000"], 1, "Use a full URL such as "),
        (["ftp://example.com"], 1, "Use a full URL such as "),
        (["https://"], 1, "Use a full URL such as "),
        (["https://example.com:port"], 1, "Use a full URL such as "),
        ([""], 1, "Usage: "),
        (
            ["https://example.com"],
            "soon",
            "Set SMOKE_SECONDS to a number of seconds, not",
        ),
        (["https://example.com"], 0, "Set SMOKE_SECONDS to a number of seconds, not"),
    ],
)
def test_invalid_arguments_print_one_line(smoke, arguments, seconds, sentence):
    code, text, _ = smoke(*arguments, seconds=seconds)

    assert code == 2
    assert text.startswith(sentence)
    assert text.count("\n") == 1


# A real server


@pytest.fixture(scope="module")
def project(render_for_module):
    return render_for_module(deploy_target="heroku").installed()


@pytest.mark.slow
def test_project_is_ready_only_after_its_migrations(project, smoke):
    with project.services() as variables:
        environment = production() | variables | {"RELEASE": "1f2e3d"}
        collect = (".venv/bin/python", "manage.py", "collectstatic", "--noinput")
        project.run_ok(*collect, **environment)
        with running(project, **environment) as server:
            url = f"http://127.0.0.1:{server.port}"
            before = smoke(url, "1f2e3d", seconds=10)
            manage = (".venv/bin/python", "manage.py", "migrate")
            project.run_ok(*manage, **environment)
            other = smoke(url, "4c5b6a", seconds=2)
            # Apart from /readyz, the project requires its own host name, and TLS.
            foreign = smoke(f"{url}/elsewhere", seconds=2)
            page = smoke(url, "1f2e3d", seconds=2)
        with running(project, **environment | {"DJANGO_ALLOWED_HOSTS": "*"}) as server:
            url = f"http://127.0.0.1:{server.port}"
            plain = smoke(f"{url}/elsewhere", seconds=2)
            loop = smoke(url, seconds=2)
            default = "https://staging.my-project.example.com"
            project.edit("deploy/environments.toml", default, url)
            header = {"SMOKE_HEADER_STAGING": "X-Forwarded-Proto: https"}
            after = smoke(url, "1f2e3d", seconds=10, project=project, **header)

    assert before[0] == 1
    assert "release 1f2e3d is not ready: migrations" in before[1]
    assert "it runs release 1f2e3d, not 4c5b6a" in other[1]
    assert "it responds with 400" in foreign[1]
    assert "/admin/login/ responds with 400" in page[1]
    assert "it redirects (301)" in plain[1]
    assert "/admin/login/ redirects to itself (301)" in loop[1]
    assert after[:2] == (0, f"{url} is ready and runs release 1f2e3d.\n")
