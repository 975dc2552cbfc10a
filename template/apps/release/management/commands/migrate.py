import contextlib
import time
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, OperationalError, connections

from apps.release.locks import blockers_reported, find_holders

LOCK = 1749273910  # any number that is the same for every runner
PAUSE = 1  # seconds between two attempts to get it
# Seconds before each new attempt after a lock_timeout: the requests that waited go first.
PAUSES = (2, 4, 8)
LOCK_NOT_AVAILABLE = "55P03"
# Development only: production has no embedded server.
ORIGIN = (
    "The address comes from .env or the environment. Without POSTGRES_HOST and DATABASE_URL"
    " there, the embedded server runs."
)
SESSION = [
    "SELECT set_config('application_name', %(name)s, false)",
    # A migration may take long: the limit is for requests.
    "SET statement_timeout = 0",
    # The server ends the session, and frees its lock, 60 to 70 s after its client vanished.
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 60000",
    # During a statement, too, where the server can check it.
    "SELECT set_config('client_connection_check_interval', '10s', false)"
    " WHERE version() LIKE '%%linux%%'",
]


class Command(migrate.Command):
    """Migrate PostgreSQL under an advisory lock, because Django takes none.

    The lock belongs to the session, so the server frees it when a runner dies. It has no
    effect through a pooler that shares sessions, such as PgBouncer's transaction mode.

    A statement that waits for a table blocks all later requests to the table. It may wait
    for MIGRATE_LOCK_TIMEOUT; then the migration is rolled back, and tried again later.
    """

    limited: Any = None  # the connection whose locks have a limit
    running: Any = None  # the migration that has begun, and not ended

    def handle(self, *args, **options):
        connection = connections[options["database"]]
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(name_cause(error, connection.settings_dict)) from error
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            for statement in SESSION:
                cursor.execute(statement, {"name": f"migrate {settings.RELEASE}"})
            self.lock(cursor)
        self.limited = connection
        try:
            with (
                blockers_reported(connection, self.report),
                connection.execute_wrapper(self.wait_concurrently),
            ):
                self.handle_with_retries(*args, **options)
        finally:
            # After an error in a transaction, only the end of the session frees the lock.
            with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
                for name in ("application_name", "lock_timeout", "statement_timeout"):
                    cursor.execute(f"RESET {name}")

    def lock(self, cursor):
        """Take the lock, and report once who holds it."""
        known: set[int] = set()
        # Waiting inside one statement would block CREATE INDEX CONCURRENTLY.
        while not self.try_lock(cursor):
            holders = find_holders(cursor, LOCK)
            for process in holders.keys() - known:
                self.stderr.write(f"Waiting for another migrate: {holders[process]}.")
            known |= holders.keys()
            time.sleep(PAUSE)

    def report(self, text):
        self.stderr.write(f"\n{text}")  # The line "Applying ..." has not ended.

    def try_lock(self, cursor):
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return cursor.fetchone() == (True,)

    def handle_with_retries(self, *args, **options):
        pauses = iter(PAUSES)
        while True:
            self.limit_locks()
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                    raise
                # Without a transaction, a migration cannot begin again.
                is_partial = self.running and not self.running.atomic
                pause = next(pauses, None)
                if pause is None or is_partial or self.limited.in_atomic_block:
                    raise CommandError(self.explain(is_partial)) from error
            self.stderr.write(
                f"No lock within lock_timeout: trying again in {pause} s."
            )
            time.sleep(pause)

    def explain(self, is_partial):
        state = "applied in part" if is_partial else "not applied"
        what = f"{self.running} is {state}" if self.running else "A later step failed"
        return (
            f"{what}: it got no lock within lock_timeout. End the sessions that block it,"
            ' which the log names, then migrate again. See "Locks" in docs/migrations.md.'
        )

    def migration_progress_callback(self, action, migration=None, fake=False):
        super().migration_progress_callback(action, migration, fake)
        self.running = migration if action in ("apply_start", "unapply_start") else None
        # The migration before this one may have changed the limit.
        self.limit_locks()

    def limit_locks(self, seconds=None):
        """Set lock_timeout, which is MIGRATE_LOCK_TIMEOUT unless given."""
        if self.limited:
            seconds = settings.MIGRATE_LOCK_TIMEOUT if seconds is None else seconds
            with self.limited.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {1000 * seconds:.0f}")

    def wait_concurrently(self, execute, sql, params, many, context):
        """Set no limit for a statement that blocks no request while it waits."""
        if "CONCURRENTLY" not in str(sql).upper():
            return execute(sql, params, many, context)
        self.limit_locks(0)
        result = execute(sql, params, many, context)
        self.limit_locks()
        return result


def name_cause(error, database):
    """Return why there is no connection, and what helps: a command, or the address's origin."""
    if f'database "{database["NAME"]}" does not exist' not in str(error):
        return f"{error}\n{ORIGIN}" if settings.DEBUG else str(error)
    server = [
        f"--{option}={database[key]}"
        for option, key in {"host": "HOST", "port": "PORT", "username": "USER"}.items()
        if database[key]
    ]
    command = " ".join(["createdb", *server, database["NAME"]])
    return f"{error}\nCreate the database: {command}"
