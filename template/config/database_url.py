"""The address of PostgreSQL, as its own client library, libpq, reads it."""

import math
import os
import re
import ssl
from pathlib import Path

from environs import validate
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from config.env import env

SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
SSL_FILES = ["sslrootcert", "sslcert", "sslkey", "sslcrl"]
# Errors quote nothing: a part of the password may be anywhere in a wrong address.
FORM = (
    "Use postgresql://user:password@host:port/name, percent-encode the user and the "
    "password, and use only parameters of libpq, such as sslmode=require."
)


def database_url(text):
    """Return Django's settings of the database with this address.

    Raises ValueError if libpq does not read it, or not as it is meant.
    """
    # Not of libpq, but in many addresses of poolers
    text, is_pooler = re.subn(r"(?<=[?&])pgbouncer=true(&|$)", "", text)
    if not text.startswith(("postgres://", "postgresql://")):
        raise ValueError(FORM)
    try:
        found = conninfo_to_dict(text.rstrip("?&"))
    except ProgrammingError:
        raise ValueError(FORM) from None
    parts = {keyword: str(value) for keyword, value in found.items()}
    host, name = parts.pop("host", ""), parts.pop("dbname", "")
    port = parts.pop("port", "")
    # An @, / or : of the password that is not encoded ends up in these.
    is_split = "@" in host + name or not all(map(is_port, port.split(",")))
    if not name or is_split or parts.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(FORM)
    for keyword in SSL_FILES:
        existing_file(parts.get(keyword, ""))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": port,
        "NAME": name,
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "DISABLE_SERVER_SIDE_CURSORS": bool(is_pooler),
        "OPTIONS": parts,
    }


def is_port(text):
    return not text or (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65536)


def existing_file(path):
    """Return the path of a certificate: libpq ignores a missing file in some modes.

    Raises ValueError if there is no such file; "system" is none.
    """
    if path in ("", "system") or Path(path).is_file():
        return path
    raise ValueError("The file of the certificate or its key does not exist.")


def with_options(database):
    """Return Django's settings of a database, with the options that variables set.

    Those of its address take precedence.
    """
    # Set it for a pooler that shares connections, as PgBouncer in transaction mode does.
    database["DISABLE_SERVER_SIDE_CURSORS"] = env.bool(
        "DISABLE_SERVER_SIDE_CURSORS",
        default=database.get("DISABLE_SERVER_SIDE_CURSORS", False),
    )
    options = database.setdefault("OPTIONS", {})
    is_mode = validate.OneOf(SSL_MODES)
    if mode := env.str("POSTGRES_SSLMODE", default="", validate=is_mode):
        options.setdefault("sslmode", mode)
    if path := env.parse("POSTGRES_SSLROOTCERT", existing_file, default=""):
        options.setdefault("sslrootcert", path)
    if options.get("sslrootcert") == "system":
        use_authorities_of_machine()
    # A server that is unreachable, or whose machine is gone, must not block a process
    # for minutes.
    is_timeout = validate.Range(min=1, max=600)
    timeout = env.int("POSTGRES_TIMEOUT", default=3, validate=is_timeout)
    options.setdefault("connect_timeout", timeout)
    options.setdefault("keepalives_idle", 2 * timeout)
    options.setdefault("keepalives_interval", timeout)
    options.setdefault("keepalives_count", 2)
    options.setdefault("tcp_user_timeout", 4000 * timeout)
    # PostgreSQL cancels statements that take longer; `migrate` has no limit.
    is_limit = validate.Range(min=0, max=86400)
    if seconds := env.float("STATEMENT_TIMEOUT", default=0, validate=is_limit):
        others = options.get("options", "")
        milliseconds = math.ceil(1000 * seconds)
        options["options"] = f"{others} -c statement_timeout={milliseconds}"
    return database


def use_authorities_of_machine():
    """Let the OpenSSL in psycopg's package find the certificates that Python finds."""
    paths = ssl.get_default_verify_paths()
    file, folder = paths.openssl_cafile_env, paths.openssl_capath_env
    os.environ.setdefault(file, paths.cafile or paths.openssl_cafile)
    os.environ.setdefault(folder, paths.capath or paths.openssl_capath)
