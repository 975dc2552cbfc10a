"""The pools of connections to the databases, which the threads of a process share."""

import atexit
from importlib import import_module

from django.conf import settings
from django.db import connections

# Otherwise the first request waits for its import.
import_module("psycopg_pool")


def share_connections(databases, size):
    """Give each PostgreSQL database of the settings a pool of at most `size` connections."""
    for database in databases.values():
        database["CONN_HEALTH_CHECKS"] = True
        if database["ENGINE"].endswith(("postgresql", "postgis")):
            pool = {"min_size": 0, "max_size": size, "timeout": 5}
            database.setdefault("OPTIONS", {})["pool"] = pool
    atexit.register(close_pools)


def close_pools():
    """End the threads of the pools: Python waits 20 s for them when it exits."""
    # A program may only have read these settings, and use no database.
    for connection in connections.all() if settings.configured else []:
        # Databases other than PostgreSQL have no pool.
        getattr(connection, "close_pool", connection.close)()
