"""The servers, Redis or Valkey, that the environment names."""

import os
import sys

import redis

from scripts.servers.valkey import VARIABLES

FAILURES = (redis.RedisError,)
TIMEOUT = 3  # seconds for one answer, as the settings give PostgreSQL


def find_servers():
    addresses = {name: os.environ.get(name, "") for name in VARIABLES}
    # A variable may name another kind of server, with another scheme.
    return dict(
        find_server(name, url)
        for name, url in addresses.items()
        if url.startswith(("redis:", "rediss:", "redis+socket:", "unix:"))
    )


def find_server(variable, url):
    """Return the name and the connecting function of a server; exit if its URL is invalid."""
    # Two ways to write the address of a socket; redis-py knows only the second.
    url = url.replace("redis+socket:", "unix:").replace("virtual_host=", "db=")
    timeouts = {"socket_connect_timeout": TIMEOUT, "socket_timeout": TIMEOUT}
    try:
        client = redis.Redis.from_url(url, **timeouts)
    except ValueError:
        # The text of this error may contain a part of the password.
        sys.exit(f"{variable} is invalid: encode the :, / and @ of its password.")
    parts = client.connection_pool.connection_kwargs
    port = f"{parts.get('host', 'localhost')}:{parts.get('port', 6379)}"
    return f"Redis at {parts.get('path', port)} ({variable})", client.ping
