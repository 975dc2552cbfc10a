"""The pools of connections to the databases, which the threads of a process share."""

from django.db import connections


def close_pools():
    """End the threads of the pools: Python waits 20 s for them when it exits."""
    for connection in connections.all():
        # Databases other than PostgreSQL have no pool.
        getattr(connection, "close_pool", connection.close)()
