"""Request the pages of a site, also behind a sign-on, a firewall, a cache or a proxy.

deploy/environments.toml lists the `pages` of an environment. SMOKE_HEADER_STAGING, for
the environment `staging`, is a secret header that the site expects. HTTPS_PROXY and
NO_PROXY work as in other programs.
"""

import contextlib
import functools
import http.client
import os
import re
import socket
import ssl
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

TIMEOUT = 5  # seconds for one request, from the DNS query to the last byte
MAX_BODY = 65_536  # bytes, more than any response of /readyz
ENVIRONMENTS = Path(__file__).with_name("environments.toml")
PAGES = ("/admin/login/",)
PAGE = re.compile("/[!-~]*")
OWN_QUERY = re.compile(r"[?&]smoke=\d+")
# A firewall can refuse requests without the first; the second passes a cache.
HEADERS = (
    ("User-Agent", "Mozilla/5.0 (compatible; smoke-test)"),
    ("Cache-Control", "no-cache"),
)
REQUEST_ERRORS = (OSError, http.client.HTTPException, ValueError)


class Site(NamedTuple):
    """A site, the pages to test, and the headers that its requests need."""

    url: str
    pages: tuple = PAGES
    headers: tuple = HEADERS


class Response(NamedTuple):
    """A response, or in `error` why there is none."""

    status: int = 0
    body: bytes = b""
    location: str = ""
    error: str = ""


class AnyStatus(urllib.request.HTTPErrorProcessor):
    """Return redirects and errors like any other response."""

    def http_response(self, request, response):
        return response

    https_response = http_response


def parse_url(url):
    """Return the parts of an http or https URL; raise ValueError for anything else."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise ValueError(f"Use a full URL such as https://example.com, not {url!r}.")


@functools.cache
def find_site(url):
    """Return the site of the environment that has this URL, or one with the defaults.

    Raise ValueError if the URL, a secret header or a list of pages is not valid.
    """
    parse_url(url)
    environments = tomllib.loads(ENVIRONMENTS.read_text())["environments"]
    site = Site(url)
    for name, it in environments.items():
        pages, header = read_pages(name, it), read_header(name)
        if it["url"].rstrip("/") == url.rstrip("/"):
            site = Site(url, pages, HEADERS + header)
    return site


def read_pages(name, settings):
    """Return the pages of an environment; raise ValueError unless they are paths."""
    pages = settings.get("pages", PAGES)
    if not is_texts(pages) or not all(PAGE.fullmatch(page) for page in pages):
        raise ValueError(
            f"Set pages of {name} in deploy/environments.toml to paths such as "
            f'["/", "/shop/"], not {pages!r}.'
        )
    return tuple(pages)


def is_texts(value):
    """Return whether a setting is a list of texts."""
    return isinstance(value, list | tuple) and all(isinstance(it, str) for it in value)


def read_header(name):
    """Return the secret header of an environment as a tuple of none or one.

    Raise ValueError, without its text, if it is not a header.
    """
    variable = f"SMOKE_HEADER_{name.upper().replace('-', '_')}"
    text = os.environ.get(variable, "").strip()
    found = re.fullmatch(r"([\w-]+): *([ -~]+)", text, re.ASCII)
    if text and not found:
        raise ValueError(
            f"Set {variable} to one line such as `Authorization: Basic bWU6bXk=`."
        )
    return (found.groups(),) if found else ()


def check_page(site, page, seconds=TIMEOUT):
    """Request a page once; return why it is broken, or an empty text."""
    response = fetch(site, page, seconds)
    if response.error:
        return f"{page}: {response.error}"
    if response.status == 400 or response.status >= 500:
        return f"{page} responds with {response.status}"
    address = find_address(site, page)
    target = urljoin(address, OWN_QUERY.sub("", response.location))
    # The scheme does not count: a proxy can hide it.
    if response.location and urlsplit(target)[1:4] == urlsplit(address)[1:4]:
        return f"{page} redirects to itself ({response.status})"
    return ""


def find_address(site, page):
    parts = urlsplit(site.url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}{page}"


def fetch(site, page, seconds=TIMEOUT):
    """Return the response to a request, or why there is none after `seconds`.

    Only a thread can limit the whole request: a socket's timeout starts again with each
    byte, and a DNS query has none.
    """
    seconds = max(0.1, min(TIMEOUT, seconds))
    responses = [Response(error="no complete response in time")]
    request = threading.Thread(
        target=lambda: responses.append(send(site, page, seconds)), daemon=True
    )
    request.start()
    request.join(seconds)
    return responses[-1]


def send(site, page, seconds):
    """Send a request; return the response, or why there is none."""
    # No cache has a response for this query.
    query = f"{'&' if '?' in page else '?'}smoke={time.time_ns()}"
    address = find_address(site, page) + query
    try:
        request = urllib.request.Request(address, headers=dict(site.headers))
        with build_opener().open(request, timeout=seconds) as response:
            location = response.headers.get("Location", "")
            return Response(response.status, response.read(MAX_BODY), location)
    except REQUEST_ERRORS as error:
        return Response(error=describe(error))


@functools.cache
def build_opener():
    """Return what sends requests, through the proxy that the variables name.

    To make it takes long, because it reads the certificate authorities.
    """
    return urllib.request.build_opener(AnyStatus)


def describe(error):
    """Return why there is no response. The text of an error can contain the header."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        return f"it responds with {error.code}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {cause.verify_message}"
    if isinstance(cause, socket.gaierror):
        return "its host name does not resolve"
    if isinstance(cause, ConnectionRefusedError):
        return "it refuses connections"
    if isinstance(cause, TimeoutError):
        return "no complete response in time"
    if refused := re.match("Tunnel connection failed: (.*)", str(cause)):
        return f"the proxy refuses the connection ({refused[1]})"
    return f"the response is unreadable ({type(cause).__name__})"
