"""What is kept between test runs, in a folder that git ignores.

With `FRESH=1` a run ignores what earlier runs kept; within the run, all is kept as always.
"""

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import time
import uuid

from tests.support.options import TEMPLATE

CACHE = TEMPLATE / ".cache"
# pytest-xdist gives all workers of a run one id.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
FRESH = os.environ.get("FRESH", "") not in ("", "0")
DAY = 24 * 60 * 60


class Cache:
    """A database in a folder, for one test run with any number of workers.

    `schema` is the SQL that creates the tables of the database.
    """

    def __init__(self, folder, name, schema, run=RUN, fresh=FRESH):
        self.folder, self.name, self.schema = folder, name, schema
        self.run, self.fresh = run, fresh
        self.locks, self.has_tables = None, False

    def counts(self, run):
        """Return whether what a run has kept counts in this one."""
        return run == self.run or not self.fresh

    @contextlib.contextmanager
    def database(self):
        """Yield a connection to the database, and commit what is done with it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.sqlite"
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            # A crash of the machine may cost what is kept: it is made again.
            database.execute("PRAGMA synchronous = OFF")
            if not self.has_tables:
                database.executescript(self.schema)
                self.has_tables = True
            with database:
                yield database

    @contextlib.contextmanager
    def locked(self, name, wait=True):
        """Hold the lock of a name, which no two processes have at a time.

        It is a lock on one byte of a file, so that no lock leaves a file behind. Yield
        whether it is held: without `wait`, another process may have it.
        """
        if self.locks is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.locks = (self.folder / f"{self.name}.locks").open("w")
        byte = int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)
        held = False
        with contextlib.suppress(BlockingIOError):
            how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(self.locks, how, 1, byte)
            held = True
        try:
            yield held
        finally:
            if held:
                fcntl.lockf(self.locks, fcntl.LOCK_UN, 1, byte)


def today():
    """Return the number of this day."""
    return int(time.time()) // DAY
