"""Production keeps uploads in a bucket, here of moto's server, within a limit of time."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import production
from tests.support.project import clean_environment, closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

BUCKET = "shop"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
SAVE = """
import time
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage
begin = time.monotonic()
try:
    print(storage.save("folder/upload.txt", ContentFile("text")))
except Exception as error:
    print(repr(error))
print(time.monotonic() - begin)
"""
USE = """
import urllib.request
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as storage
first, second = (
    storage.save("folder/upload.txt", ContentFile(text)) for text in ("one", "two")
)
assert (first, second) == ("folder/upload.txt", second)
assert second != first
assert storage.exists(first)
assert not storage.exists("folder/other.txt")
with storage.open(first) as file:
    assert file.read() == b"one"
for name, text in ((first, b"one"), (second, b"two")):
    with urllib.request.urlopen(storage.url(name)) as response:
        assert response.read() == text
        assert response.headers["Content-Type"] == "text/plain"
storage.delete(first)
assert not storage.exists(first)
print("used")
"""


@pytest.fixture(scope="module")
def project(render_for_module):
    answers = REDIS_STATES["none"] | {"deploy_target": "heroku"}
    return render_for_module(**answers).installed()


@pytest.fixture(scope="module")
def server():
    """Yield the URL of a server with the API of S3."""
    port = closed_port()
    program = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", str(port)],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers():
        try:
            return (
                socket.create_connection(("127.0.0.1", port), timeout=1).close() is None
            )
        except OSError:
            return False

    try:
        wait_until(answers)
        url = f"http://127.0.0.1:{port}"
        create = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(create).close()
        yield url
    finally:
        process.kill()
        process.wait()


def run(project, code, server, **variables):
    """Run code in a production with a bucket; return what it printed."""
    environment = project.toml("tests/production.toml") | production() | KEYS
    environment |= {
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": server,
    }
    setup = "import django\ndjango.setup()\n"
    command = (".venv/bin/python", "-Werror", "-c", setup + code)
    return project.run_ok(*command, **environment | variables).stdout


def test_bucket_keeps_serves_and_deletes_uploads(project, server):
    assert run(project, USE, server) == "used\n"


def test_missing_bucket_is_named_by_the_error(project, server):
    assert "NoSuchBucket" in run(
        project, SAVE, server, AWS_STORAGE_BUCKET_NAME="missing"
    )


def test_wrong_keys_are_named_by_the_error(project, server):
    authenticate(server, "0")
    try:
        saved = run(project, SAVE, server)
    finally:
        authenticate(server, "inf")

    assert "InvalidAccessKeyId" in saved


def authenticate(server, after):
    """Let moto check keys after this number of requests."""
    url = f"{server}/moto-api/reset-auth"
    headers = {"Content-Type": "text/plain"}
    request = urllib.request.Request(url, data=after.encode(), headers=headers)
    urllib.request.urlopen(request).close()


def test_silent_server_costs_twice_its_limit(project):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error, seconds = run(project, SAVE, server, S3_TIMEOUT="0.5").splitlines()

    assert "ReadTimeoutError" in error
    # Two attempts, the wait between them, and the import of boto3
    assert float(seconds) < 5
