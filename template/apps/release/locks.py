"""Find the sessions that `migrate` waits for, in words and with the statement that ends them."""

import contextlib
import threading

from django.db import DatabaseError

INTERVAL = 0.5  # seconds between two queries, less than a lock_timeout

HOLDERS = """
    SELECT pg_locks.pid FROM pg_locks JOIN pg_database ON oid = database
    WHERE datname = current_database()
    AND locktype = 'advisory' AND objid = %s AND granted
"""
BLOCKERS = """
    SELECT COALESCE(relation::regclass::text, 'other transactions'), pg_blocking_pids(pid)
    FROM pg_locks WHERE pid = %s AND NOT granted
"""
# Of another role's session, the server may hide all but the process and the user.
SESSIONS = """
    SELECT pid, concat_ws(
        ', ', 'process ' || pid, 'user ' || usename, 'client ' || host(client_addr),
        'application ' || NULLIF(application_name, ''), state,
        'connected since ' || to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ'),
        'in a transaction since ' || to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')
    ) || '. To end it: SELECT pg_terminate_backend(' || pid || ')'
    FROM pg_stat_activity WHERE pid = ANY(%s)
"""


def find_holders(cursor, lock):
    """Return the sessions that hold an advisory lock: a description by process."""
    cursor.execute(HOLDERS, [lock])
    return describe(cursor, [process for (process,) in cursor.fetchall()])


def describe(cursor, processes):
    """Return the description of each session by its process."""
    cursor.execute(SESSIONS, [processes])
    return dict(cursor.fetchall())


@contextlib.contextmanager
def blockers_reported(connection, report):
    """Call `report` once for each session that blocks this connection in the context.

    Another connection, in a thread, finds them: this one waits inside of a statement.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    ended = threading.Event()
    arguments = (connection, process, report, ended)
    thread = threading.Thread(target=report_blockers, args=arguments)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def report_blockers(connection, process, report, ended):
    if ended.wait(INTERVAL):  # Most migrations need no second connection.
        return
    known = set()
    # If it cannot connect, the migration runs on without reports.
    with (
        contextlib.suppress(DatabaseError),
        contextlib.closing(connection.copy()) as other,
        other.cursor() as cursor,
    ):
        while not ended.is_set():
            cursor.execute(BLOCKERS, [process])
            for waits_for, blockers in cursor.fetchall():
                for blocker, session in describe(cursor, blockers).items():
                    if (waits_for, blocker) not in known:
                        known.add((waits_for, blocker))
                        report(f"Waiting for {waits_for}, blocked by {session}.")
            ended.wait(INTERVAL)
