"""Wait until an address says that it is ready, and that it is the right release.

python3 deploy/smoke.py URL [RELEASE]

Exits with 0 when it does, with 1 when it does not in $SMOKE_SECONDS (120), and with 2
when it was asked in the wrong way.
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

REQUEST = 5  # seconds for one request, from the look-up of the name to its last byte
BODY = 65_536  # bytes, more than any answer of /readyz
PAUSE = 1  # seconds between two requests
STATUSES = (200, 503)  # of /readyz: ready, and not
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
NO_ANSWER = (OSError, http.client.HTTPException)
NOT_READYZ = (ValueError, TypeError, KeyError, AttributeError)


class NotReady(Exception):
    """The address did not become what it should be; the text is the last reason."""


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(refuse("Say which address: python3 deploy/smoke.py URL [RELEASE]"))
    url, release = (sys.argv + [""])[1:3]
    try:
        seconds = read_seconds()
        read_address(url)
    except ValueError as error:
        sys.exit(refuse(error))
    try:
        found = wait(url, release, seconds=seconds)
    except NotReady as error:
        sys.exit(str(error))
    print(f"{url} is ready and runs release {found}.")


def refuse(reason):
    print(reason, file=sys.stderr)
    return 2


def read_seconds():
    text = os.environ.get("SMOKE_SECONDS") or "120"
    if not text.isdecimal():
        raise ValueError(f"SMOKE_SECONDS is a number of seconds, not {text}.")
    return int(text)


def read_address(url):
    """Return the parts of an address that can be asked."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in CONNECTIONS and parts.hostname and parts.port != 0:
            return parts
    raise ValueError(
        f"Give the whole address, such as https://example.com, not {url!r}."
    )


def wait(url, release="", *, other_than="", seconds):
    """Ask until /readyz is ready with this release, or with another one; return its id."""
    deadline = time.monotonic() + seconds
    seen = None
    while True:
        left = deadline - time.monotonic()
        reason, found = judge(url, release, other_than, left)
        if not reason:
            return found
        if reason != seen:
            print(f"{url}: {reason}", flush=True)
            seen = reason
        if time.monotonic() + PAUSE > deadline:
            raise NotReady(f"{url} was not ready after {seconds} s: {reason}.")
        time.sleep(PAUSE)


def judge(url, release, other_than="", seconds=REQUEST):
    """Ask once; return why that is not enough, if so, and the release that answered."""
    status, body = ask(url, max(0.1, min(REQUEST, seconds)))
    if status is None:
        return body, ""
    if 300 <= status < 400:
        return f"it redirects ({status}), which /readyz never does", ""
    if status not in STATUSES:
        return f"it answers {status}", ""
    try:
        found, failed = read_answer(body)
    except NOT_READYZ:
        return f"it answers {status}, but not as /readyz does", ""
    if status == 503:
        return f"release {found} is not ready: {', '.join(failed)}", found
    if release and found != release:
        return f"release {found} answers, not {release}", found
    if other_than and found == other_than:
        return f"release {found} still answers", found
    return "", found


def read_answer(body):
    """Return the release that answered, and the names of its checks that failed."""
    answer = json.loads(body)
    checks = answer["checks"].items()
    return str(answer["release"]), [name for name, result in checks if result != "ok"]


def find_release(url):
    """Return the id of the release that answers, ready or not, or nothing."""
    status, body = ask(url, REQUEST)
    try:
        return read_answer(body)[0] if status in STATUSES else ""
    except NOT_READYZ:
        return ""


def ask(url, seconds):
    """Return the status and the body of /readyz, or None and why there is no answer.

    Only a thread has an end for all of a request together: a socket's timeout begins
    anew with each byte, and the look-up of a name has none.
    """
    answers = [(None, "no whole answer in time")]
    request = Request(url, seconds, answers)
    request.start()
    request.join(seconds)
    request.end()
    return answers[-1]


class Request(threading.Thread):
    """One request, which can be ended while it waits."""

    def __init__(self, url, seconds, answers):
        super().__init__(daemon=True)
        parts = read_address(url)
        self.connection = CONNECTIONS[parts.scheme](
            parts.hostname, parts.port, timeout=seconds
        )
        self.path = parts.path.rstrip("/") + "/readyz"
        self.answers = answers
        self.ended = False

    def run(self):
        answer = self.ask()
        if not self.ended:
            self.answers.append(answer)

    def ask(self):
        try:
            self.connection.request("GET", self.path, headers={"Connection": "close"})
            response = self.connection.getresponse()
            body = response.read(BODY)
        except ssl.SSLCertVerificationError as error:
            return None, f"its certificate is not valid: {error.verify_message}"
        except socket.gaierror:
            return None, "its name is unknown"
        except ConnectionRefusedError:
            return None, "it refuses connections"
        except TimeoutError:
            return None, "no whole answer in time"
        except NO_ANSWER as error:
            return None, f"no answer that can be read ({type(error).__name__})"
        return response.status, body

    def end(self):
        self.ended = True
        if self.connection.sock:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
