import threading

import pytest
from django.db import connection, connections

from config.pool import close_pools, share_connections


def threads_of_pools():
    return [it for it in threading.enumerate() if it.name.startswith("pool-")]


@pytest.mark.usefixtures("django_db_setup")
def test_closing_the_pools_ends_their_threads(django_db_blocker, monkeypatch):
    pool = {"min_size": 0, "max_size": 1}
    options = connection.settings_dict["OPTIONS"] | {"pool": pool}
    pooled = connection.settings_dict | {"OPTIONS": options}
    monkeypatch.setitem(connections.settings, "pooled", pooled)
    with django_db_blocker.unblock():
        connections["pooled"].ensure_connection()
        connections["pooled"].close()
    assert threads_of_pools()

    close_pools()

    assert threads_of_pools() == []


def test_only_postgresql_has_a_pool(monkeypatch):
    monkeypatch.setattr("config.pool.atexit.register", lambda function: None)
    databases = {
        name: {"ENGINE": f"django.db.backends.{name}"}
        for name in ("postgresql", "sqlite3")
    }

    share_connections(databases, 7)

    assert databases["postgresql"]["OPTIONS"]["pool"]["max_size"] == 7
    assert "OPTIONS" not in databases["sqlite3"]
