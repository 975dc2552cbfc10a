"""Wait until a URL is ready, and runs the expected release.

python3 deploy/smoke.py URL [RELEASE]

Exit codes:
0: the URL is ready
1: it is not, after $SMOKE_SECONDS (120 by default)
2: an argument or $SMOKE_SECONDS is not valid
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

REQUEST_TIMEOUT = 5  # seconds for one request, from the DNS query to the last byte
MAX_BODY = 65_536  # bytes, more than any response of /readyz
PAUSE = 1  # seconds between two requests
STATUSES = (200, 503)  # of /readyz: ready or not
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
REQUEST_ERRORS = (OSError, http.client.HTTPException)
FORMAT_ERRORS = (ValueError, TypeError, KeyError, AttributeError)


class NotReady(Exception):
    """The URL was not ready in time; the message has the last reason."""


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(reject("Usage: python3 deploy/smoke.py URL [RELEASE]"))
    url, release = (sys.argv + [""])[1:3]
    try:
        seconds = read_seconds()
        parse_url(url)
    except ValueError as error:
        sys.exit(reject(error))
    try:
        found = wait(url, release, seconds=seconds)
    except NotReady as error:
        sys.exit(str(error))
    print(f"{url} is ready and runs release {found}.")


def reject(reason):
    print(reason, file=sys.stderr)
    return 2


def read_seconds():
    text = os.environ.get("SMOKE_SECONDS") or "120"
    if not text.isdecimal():
        raise ValueError(f"Set SMOKE_SECONDS to a number of seconds, not {text}.")
    return int(text)


def parse_url(url):
    """Return the parts of an http or https URL; raise ValueError for anything else."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in CONNECTIONS and parts.hostname and parts.port != 0:
            return parts
    raise ValueError(f"Use a full URL such as https://example.com, not {url!r}.")


def wait(url, release="", *, other_than="", seconds):
    """Wait until the URL is ready; return the id of its release.

    `release` is the expected release, `other_than` one that must be gone. Raise NotReady
    after `seconds`.
    """
    deadline = time.monotonic() + seconds
    seen = None
    while True:
        left = deadline - time.monotonic()
        reason, found = check(url, release, other_than, left)
        if not reason:
            return found
        if reason != seen:
            print(f"{url}: {reason}", flush=True)
            seen = reason
        if time.monotonic() + PAUSE > deadline:
            raise NotReady(f"{url} was not ready after {seconds} s: {reason}.")
        time.sleep(PAUSE)


def check(url, release, other_than="", seconds=REQUEST_TIMEOUT):
    """Request /readyz once; return why the URL is not ready, or "", and its release."""
    status, body = get_readyz(url, max(0.1, min(REQUEST_TIMEOUT, seconds)))
    if status is None:
        return body, ""
    if 300 <= status < 400:
        return f"it redirects ({status}), which /readyz never does", ""
    if status not in STATUSES:
        return f"it responds with {status}", ""
    try:
        found, failed = read_body(body)
    except FORMAT_ERRORS:
        return f"it responds with {status}, but not in the format of /readyz", ""
    if status == 503:
        return f"release {found} is not ready: {', '.join(failed)}", found
    if release and found != release:
        return f"it runs release {found}, not {release}", found
    if other_than and found == other_than:
        return f"it still runs release {found}", found
    return "", found


def read_body(body):
    """Return the release, and the names of its failed checks."""
    data = json.loads(body)
    checks = data["checks"].items()
    return str(data["release"]), [name for name, result in checks if result != "ok"]


def find_release(url):
    """Return the id of the release that responds, ready or not, or an empty text."""
    status, body = get_readyz(url, REQUEST_TIMEOUT)
    try:
        return read_body(body)[0] if status in STATUSES else ""
    except FORMAT_ERRORS:
        return ""


def get_readyz(url, seconds):
    """Return the status and the body of /readyz, or None and why there are none.

    Only a thread can limit the whole request: a socket's timeout starts again with each
    byte, and a DNS query has none.
    """
    responses = [(None, "no complete response in time")]
    request = Request(url, seconds, responses)
    request.start()
    request.join(seconds)
    request.cancel()
    return responses[-1]


class Request(threading.Thread):
    """A request that can be cancelled while it waits."""

    def __init__(self, url, seconds, responses):
        super().__init__(daemon=True)
        parts = parse_url(url)
        self.connection = CONNECTIONS[parts.scheme](
            parts.hostname, parts.port, timeout=seconds
        )
        self.path = parts.path.rstrip("/") + "/readyz"
        self.responses = responses
        self.cancelled = False

    def run(self):
        response = self.send()
        if not self.cancelled:
            self.responses.append(response)

    def send(self):
        """Return the status and the body, or None and why there is no response."""
        try:
            self.connection.request("GET", self.path, headers={"Connection": "close"})
            response = self.connection.getresponse()
            body = response.read(MAX_BODY)
        except ssl.SSLCertVerificationError as error:
            return None, f"its certificate is not valid: {error.verify_message}"
        except socket.gaierror:
            return None, "its host name does not resolve"
        except ConnectionRefusedError:
            return None, "it refuses connections"
        except TimeoutError:
            return None, "no complete response in time"
        except REQUEST_ERRORS as error:
            return None, f"the response is unreadable ({type(error).__name__})"
        return response.status, body

    def cancel(self):
        """Ignore the response, and close the connection."""
        self.cancelled = True
        if self.connection.sock:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
