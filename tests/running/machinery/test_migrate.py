import re
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import (
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)

from apps.release import locks
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
    messages: SimpleQueue[str] = SimpleQueue()
    with connection.cursor() as cursor, ThreadPoolExecutor() as pool:
        cursor.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
        second = pool.submit(run_migrate, SimpleNamespace(write=messages.put))
        try:
            message = messages.get(timeout=TIMEOUT)
            assert not second.done()
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [migrate.LOCK])
        second.result(TIMEOUT)

    assert "Waiting for another migrate: process " in message


@pytest.mark.django_db(transaction=True)
def test_blocked_migrate_ends_and_names_who_blocks_it(monkeypatch, settings):
    def lock(*args, **options):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE users_user")

    monkeypatch.setattr(migrate.Command.__base__, "handle", lock)
    monkeypatch.setattr(migrate, "PAUSES", (0.01,))
    monkeypatch.setattr(locks, "INTERVAL", 0.05)
    settings.MIGRATE_LOCK_TIMEOUT = 2
    messages: SimpleQueue[str] = SimpleQueue()
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM users_user")
        with pytest.raises(CommandError, match="End the sessions that block it"):
            call_command("migrate", stderr=SimpleNamespace(write=messages.put))
    finally:
        other.close()

    assert "Waiting for users_user, blocked by process " in messages.get_nowait()
    assert "trying again" in messages.get_nowait()
    assert messages.empty()


@pytest.mark.django_db(transaction=True)
def test_statement_that_blocks_no_request_has_no_limit(monkeypatch, settings):
    limits = []

    def handle(*args, **options):
        with connection.cursor() as cursor:
            for name in ("concurrently", "usually"):
                cursor.execute(f"SELECT current_setting('lock_timeout') AS {name}")
                limits.append(cursor.fetchone()[0])

    monkeypatch.setattr(migrate.Command.__base__, "handle", handle)
    settings.MIGRATE_LOCK_TIMEOUT = 7
    call_command("migrate")

    assert limits == ["0", "7s"]
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_other_error_of_the_server_is_the_one_that_is_raised(monkeypatch):
    def fail(*args, **options):
        raise OperationalError("The server is gone.")

    monkeypatch.setattr(migrate.Command.__base__, "handle", fail)
    with pytest.raises(OperationalError, match="is gone"):
        call_command("migrate")


@pytest.mark.django_db(transaction=True)
def test_error_in_a_transaction_is_the_one_that_is_raised(monkeypatch):
    def fail(*args, **options):
        with connection.cursor() as cursor:
            cursor.execute("SELECT missing")

    monkeypatch.setattr(migrate.Command.__base__, "handle", fail)
    with pytest.raises(ProgrammingError, match="missing"), transaction.atomic():
        call_command("migrate", verbosity=0)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [migrate.LOCK])


def test_migrate_works_on_another_kind_of_database(
    django_db_blocker, monkeypatch, tmp_path
):
    other = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "other"}
    databases = connections.configure_settings(settings.DATABASES | {"other": other})
    monkeypatch.setitem(connections.settings, "other", databases["other"])

    with django_db_blocker.unblock():
        # An app of Django's, because those of the project may require PostgreSQL.
        call_command("migrate", "contenttypes", database="other", verbosity=0)
        tables = connections["other"].introspection.table_names()
        connections["other"].close()

    assert "django_content_type" in tables


@pytest.mark.parametrize(
    ("alias", "change", "end"),
    [
        ("missing", {"NAME": "missing"}, "Create the database: createdb .*missing"),
        ("unreachable", {"HOST": "127.0.0.1", "PORT": "1"}, "refused.*"),
    ],
)
def test_failed_connection_is_one_message(
    django_db_blocker, monkeypatch, alias, change, end
):
    database = settings.DATABASES["default"] | change
    databases = connections.configure_settings(settings.DATABASES | {alias: database})
    monkeypatch.setitem(connections.settings, alias, databases[alias])

    with django_db_blocker.unblock(), pytest.raises(CommandError) as raised:
        call_command("migrate", database=alias, verbosity=0)

    assert re.search(f"{end}$", str(raised.value), re.DOTALL)


@pytest.mark.parametrize("debug", [True, False])
def test_development_names_where_the_address_comes_from(settings, debug):
    settings.DEBUG = debug

    cause = migrate.name_cause(OperationalError("refused"), {"NAME": "shop"})

    assert ("The address comes from .env or the environment." in cause) == debug
