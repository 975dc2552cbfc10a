from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import connection, connections

from apps.release.management.commands import migrate

TIMEOUT = 60  # seconds, more than a busy machine needs


def run_migrate(stderr):
    try:
        call_command("migrate", verbosity=0, stderr=stderr)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_second_migrate_waits_for_the_first(monkeypatch):
    monkeypatch.setattr(migrate, "PAUSE", 0.01)
    messages = SimpleQueue()
    with connection.cursor() as cursor, ThreadPoolExecutor() as pool:
        cursor.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
        second = pool.submit(run_migrate, SimpleNamespace(write=messages.put))
        try:
            message = messages.get(timeout=TIMEOUT)
            assert not second.done()
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [migrate.LOCK])
        second.result(TIMEOUT)

    assert "Waiting for another migrate" in message
