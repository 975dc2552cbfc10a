from django.core.management.commands import migrate
from django.db import connections

LOCK = 1749273910  # any number, if it is the same for every runner


class Command(migrate.Command):
    """Migrate, one runner at a time: Django takes no lock of its own.

    The lock belongs to the session, so the server frees it when a runner dies. Through
    a pooler that shares sessions, such as PgBouncer's transaction mode, it is none.
    """

    def handle(self, *args, **options):
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if cursor.fetchone() == (False,):
                self.stderr.write("Another runner migrates: waiting for it.")
                cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
