"""The servers, Redis or Valkey, that the environment names."""

import os
import sys

import redis
from environs import EnvError

from config.env import env
from config.redis import is_redis, redis_url
from scripts.servers.valkey import VARIABLES

FAILURES = (redis.RedisError,)
TIMEOUT = 3  # seconds for one answer, the default of REDIS_TIMEOUT


def find_servers():
    addresses = {name: os.environ.get(name, "").strip() for name in VARIABLES}
    # A variable may name another kind of server.
    return dict(find_server(name) for name, url in addresses.items() if is_redis(url))


def find_server(variable):
    """Return the name and the connecting function of a server; exit if its URL is invalid."""
    timeouts = {"socket_connect_timeout": TIMEOUT, "socket_timeout": TIMEOUT}
    try:
        client = redis.Redis.from_url(env.parse(variable, redis_url), **timeouts)
    except EnvError as error:
        sys.exit(str(error))
    parts = client.connection_pool.connection_kwargs
    port = f"{parts.get('host', 'localhost')}:{parts.get('port', 6379)}"
    return f"Redis at {parts.get('path', port)} ({variable})", client.ping
