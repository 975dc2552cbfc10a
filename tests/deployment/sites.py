"""A server for the sites of all environments, with the responses that the stand-ins set.

python tests/deployment/sites.py PORT FOLDER, where FOLDER is the stand-ins' $STAND_IN
"""

import contextlib
import itertools
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

API = "render-api"  # the site that is Render's API
KEY = "Bearer rnd_very-secret"
GITHUB = "github-api"  # the site that is GitHub's API
TOKEN = "Bearer token-of-the-job"


class Handler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *arguments):
        """Log nothing."""


class Sites(ThreadingHTTPServer):
    """A server for all sites: http://localhost:PORT/NAME is the site NAME."""

    daemon_threads = True

    def __init__(self, port=0, folder=None):
        super().__init__(("127.0.0.1", port), Site)
        self.folder = folder  # of the test that runs: $STAND_IN
        self.numbers = itertools.count()  # of the requests for pages


class Site(Handler):
    def do_GET(self):
        name = self.path.split("/")[1]
        if name == API:
            return self.list_crashes()
        if name == GITHUB:
            return self.describe_environment()
        try:
            answer = json.loads((self.server.folder / f"sites/{name}.json").read_text())
        except FileNotFoundError:
            answer = {"status": 404, "release": "none"}
        checks = {"database": "ok" if answer["status"] == 200 else "failed: Error"}
        is_page = "/readyz" not in self.path
        # Pages have these statuses, one after the other.
        *pages, last = answer.get("pages", [200])
        number = next(self.server.numbers) if is_page else 0
        page = pages[number] if number < len(pages) else last
        time.sleep(answer.get("delay", 0) + is_page * answer.get("page_delay", 0))
        self.send_response(page if is_page else answer["status"])
        self.end_headers()
        self.wfile.write(json.dumps(answer | {"checks": checks}).encode())

    def list_crashes(self):
        """Answer /render-api/v1/services/SERVICE/events?type=server_failed&startTime=…."""
        parts = urlsplit(self.path)
        service = parts.path.split("/")[4].removeprefix("srv-")
        query = dict(parse_qsl(parts.query))
        state = json.loads((self.server.folder / "state.json").read_text())
        self.send_response(200 if self.headers["Authorization"] == KEY else 401)
        self.end_headers()
        found = [
            it
            for it in state[service].get("events", [])
            if it["event"]["type"] == query["type"]
            and it["event"]["timestamp"] > query["startTime"]
        ]
        self.wfile.write(json.dumps(found).encode())

    def describe_environment(self):
        """Answer /github-api/repos/OWNER/NAME/environments/ENVIRONMENT."""
        found = self.server.folder / "github" / self.path.rpartition("/")[2]
        is_known = self.headers["Authorization"] == TOKEN and found.exists()
        self.send_response(200 if is_known else 404)
        self.end_headers()
        self.wfile.write(found.read_bytes() if is_known else b'{"status": "404"}')


@contextlib.contextmanager
def serving(server):
    """Serve requests in a thread of this process; yield the server."""
    with server:
        # The server notices its end only this often, in seconds.
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


if __name__ == "__main__":
    server = Sites(int(sys.argv[1]), Path(sys.argv[2]))
    print("ready to accept connections", flush=True)
    server.serve_forever()
