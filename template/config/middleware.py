"""The id of each request, and its line in the access log."""

import logging
import re
import time
import uuid
from contextlib import contextmanager
from io import BytesIO

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.utils.decorators import sync_and_async_middleware

from config.logs import request_id

ID = re.compile(r"[\w.:/+=-]{1,128}")
NOT_MODIFIED = 304
CLIENT_HAS_GONE = 499  # as nginx logs it

logger = logging.getLogger("access")


@sync_and_async_middleware
def access_log(get_response):
    """Give each request an id and an access line; see access_line()."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request):
            with access_line(request) as finish:
                return finish(await get_response(request))

        return async_middleware

    def middleware(request):
        with access_line(request) as finish:
            return finish(get_response(request))

    return middleware


@contextmanager
def access_line(request):
    """Log a request at its end, without its query, which may contain secrets.

    The proxy's X-Request-ID, or a new one, is in all lines of the request and in its
    response, which the caller passes to the yielded function.
    """
    started = time.monotonic()
    given = request.headers.get("X-Request-ID", "")
    token = request_id.set(given if ID.fullmatch(given) else uuid.uuid4().hex)
    status = CLIENT_HAS_GONE

    def finish(response):
        nonlocal status
        status = response.status_code
        response["X-Request-ID"] = request_id.get()
        # Only the request of an asynchronous server has a scope.
        is_async = hasattr(request, "scope")
        if request.method == "HEAD" or status == NOT_MODIFIED:
            drop_body(response, is_async)
        elif is_async and (file := getattr(response, "file_to_stream", None)):
            response.streaming_content = pieces(file)
        return response

    try:
        yield finish
    finally:
        fields = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "milliseconds": round(1000 * (time.monotonic() - started)),
            "host": request.META.get("HTTP_HOST"),
            "address": client_address(request),
            "user_agent": request.headers.get("User-Agent"),
        }
        logger.info("%(method)s %(path)s %(status)s", fields, extra=fields)
        request_id.reset(token)


def drop_body(response, is_async):
    """Remove the body of a response that must have none: servers warn of each one."""
    if not response.streaming:
        response.content = b""
    else:
        response.streaming_content = pieces(BytesIO()) if is_async else ()


async def pieces(file):
    """Read a file bit by bit: an asynchronous Django would read it whole, and warn."""
    while piece := await sync_to_async(file.read)(65536):
        yield piece


def client_address(request):
    """Return the client's address, as the outermost of TRUSTED_PROXIES saw it.

    Each proxy appends the address of its client to X-Forwarded-For, and a client can send
    that header, too: only the last addresses of the list are true.
    """
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    count = settings.TRUSTED_PROXIES
    if 0 < count <= len(forwarded) and forwarded[-count].strip():
        return forwarded[-count].strip()
    # An IPv4 address has this prefix if the server listens on IPv6.
    return request.META.get("REMOTE_ADDR", "").removeprefix("::ffff:")
