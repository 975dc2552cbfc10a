import contextlib
import time

from django.core.management.commands import migrate
from django.db import DatabaseError, connections

LOCK = 1749273910  # any number that is the same for every runner
PAUSE = 1  # seconds between two attempts


class Command(migrate.Command):
    """Migrate PostgreSQL under an advisory lock, because Django takes none.

    The lock belongs to the session, so the server frees it when a runner dies. It has no
    effect through a pooler that shares sessions, such as PgBouncer's transaction mode.
    """

    def handle(self, *args, **options):
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            # A migration may take long: the limit is for requests.
            cursor.execute("SET statement_timeout = 0")
            # Waiting inside one statement would block CREATE INDEX CONCURRENTLY.
            while not self.lock(cursor):
                self.stderr.write("Waiting for another migrate on this database.")
                time.sleep(PAUSE)
        try:
            super().handle(*args, **options)
        finally:
            # After an error in a transaction, only the end of the session frees the lock.
            with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def lock(self, cursor):
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return cursor.fetchone() == (True,)
