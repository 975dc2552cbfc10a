from concurrent.futures import ThreadPoolExecutor, TimeoutError

import pytest
from django.core.management import call_command
from django.db import connection, connections

from apps.release.management.commands.migrate import LOCK


def migrate():
    try:
        call_command("migrate", verbosity=0)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_second_migrate_waits_for_the_first(capsys):
    with connection.cursor() as cursor, ThreadPoolExecutor() as pool:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        second = pool.submit(migrate)
        try:
            with pytest.raises(TimeoutError):
                second.result(0.3)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        second.result(10)

    assert "Waiting for another migrate" in capsys.readouterr().err
