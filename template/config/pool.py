"""The pools of connections to the databases, which the threads of a process share."""

import psycopg_pool  # noqa: F401  # Otherwise the first request waits for its import.
from django.conf import settings
from django.db import connections


def close_pools():
    """End the threads of the pools: Python waits 20 s for them when it exits."""
    # A program may only have read these settings, and use no database.
    for connection in connections.all() if settings.configured else []:
        # Databases other than PostgreSQL have no pool.
        getattr(connection, "close_pool", connection.close)()
