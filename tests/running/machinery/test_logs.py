import asyncio
import io
import json
import logging
from io import BytesIO
from logging.config import dictConfig
from runpy import run_path

import pytest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from environs import EnvError

from config import logs
from config.logs import LOGGING
from config.middleware import access_log


@pytest.fixture
def lines(settings):
    """Log as in production; return a function that returns the lines so far."""
    loggers = [logging.getLogger(name) for name in (None, *LOGGING["loggers"])]
    before = [(it.level, it.propagate, it.handlers[:]) for it in loggers]
    stream = io.StringIO()
    stdout = LOGGING["handlers"]["stdout"] | {"stream": stream}
    dictConfig(settings.LOGGING | LOGGING | {"handlers": {"stdout": stdout}})
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers = handlers


def test_request_is_one_line_without_its_query(client, lines):
    client.get("/nowhere?token=1", headers={"user-agent": "curl"})

    (line,) = lines()
    assert line["name"] == "access"
    assert line["message"] == "GET /nowhere 404"
    assert line["user_agent"] == "curl"
    assert "token" not in json.dumps(line)


def test_lines_of_a_request_have_its_id(client, lines, monkeypatch):
    monkeypatch.setattr("apps.health.middleware.run_checks", lambda: 1 / 0)
    client.raise_request_exception = False

    response = client.get("/readyz")

    error, access = lines()
    assert error["levelname"] == "ERROR"
    assert "ZeroDivisionError" in error["exc_info"]
    assert error["request_id"] == access["request_id"] == response["X-Request-ID"]


def test_line_outside_of_a_request_has_no_id(lines):
    logging.getLogger("apps").info("Started")

    (line,) = lines()
    assert line["message"] == "Started"
    assert "request_id" not in line


def test_id_of_the_proxy_is_kept(client):
    response = client.get("/healthz", headers={"x-request-id": "3f2-a:b"})

    assert response["X-Request-ID"] == "3f2-a:b"


@pytest.mark.parametrize("given", ["", "two words", 200 * "x"])
def test_unsafe_id_is_replaced(client, given):
    response = client.get("/healthz", headers={"x-request-id": given})

    assert len(response["X-Request-ID"]) == 32


def test_host_that_is_not_allowed_is_one_line(client, lines):
    client.get("/admin/", headers={"host": "evil.example"})

    (line,) = lines()
    assert (line["status"], line["host"]) == (400, "evil.example")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "1.1.1.1", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "2.2.2.2", "127.0.0.1"),
    ],
)
def test_line_has_the_address_that_the_proxies_saw(
    client, lines, settings, proxies, forwarded, address
):
    settings.TRUSTED_PROXIES = proxies

    client.get("/healthz", headers={"x-forwarded-for": forwarded} if forwarded else {})

    assert lines()[0]["address"] == address


@pytest.mark.parametrize("body", [HttpResponse("body"), StreamingHttpResponse("body")])
def test_response_to_head_has_no_body(rf, body):
    response = access_log(lambda request: body)(rf.head("/"))

    assert b"".join(response) == b""


def body_under_asgi(response, request):
    """Return the body that a server sends; Django warns if it reads a file whole."""

    async def body():
        answer = access_log(lambda request: response)(request)
        return b"".join([part async for part in answer])

    return asyncio.run(body())


def test_file_is_read_in_pieces_under_asgi(async_rf):
    response = FileResponse(BytesIO(b"text"))

    assert body_under_asgi(response, async_rf.get("/")) == b"text"


def test_stream_is_kept_under_asgi(async_rf):
    async def stream():
        yield b"text"

    response = FileResponse(stream(), content_type="text/plain")

    assert body_under_asgi(response, async_rf.get("/")) == b"text"


@pytest.mark.parametrize(("method", "status"), [("head", 200), ("get", 304)])
def test_response_without_body_has_none_under_asgi(async_rf, method, status):
    response = FileResponse(iter([b"text"]), status=status, content_type="text/plain")

    assert body_under_asgi(response, getattr(async_rf, method)("/")) == b""


def test_async_client_that_goes_away_is_no_error(lines, rf):
    @access_log
    async def respond(request):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(respond(rf.get("/")))

    (line,) = lines()
    assert (line["status"], line["levelname"]) == (499, "INFO")


def test_async_response_has_an_id(rf):
    @access_log
    async def respond(request):
        return HttpResponse()

    assert asyncio.run(respond(rf.get("/")))["X-Request-ID"]


def test_level_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "ERROR")

    assert run_path(logs.__file__)["LOGGING"]["root"]["level"] == "ERROR"


def test_unknown_level_is_refused(monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(EnvError, match='"LOG_LEVEL" invalid'):
        run_path(logs.__file__)
