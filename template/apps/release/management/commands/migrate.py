import time

from django.core.management.commands import migrate
from django.db import connections

LOCK = 1749273910  # any number, if it is the same for every runner
PAUSE = 1  # seconds between two tries


class Command(migrate.Command):
    """Migrate, one runner at a time: Django takes no lock of its own.

    The lock belongs to the session, so the server frees it when a runner dies. Through
    a pooler that shares sessions, such as PgBouncer's transaction mode, it is none.
    """

    def handle(self, *args, **options):
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            # Who waits inside one statement would hold up CREATE INDEX CONCURRENTLY.
            while not self.lock(cursor):
                self.stderr.write("Another runner migrates: waiting for it.")
                time.sleep(PAUSE)
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def lock(self, cursor):
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return cursor.fetchone() == (True,)
