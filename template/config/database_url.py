"""The address of PostgreSQL, as its own client library, libpq, reads it."""

import os
import re
import ssl

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
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
    is_split = "@" in host + name or not re.fullmatch("[0-9,]*", port)
    if not name or is_split or parts.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(FORM)
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


def use_authorities_of_machine():
    """Let the OpenSSL in psycopg's package find the certificates that Python finds."""
    paths = ssl.get_default_verify_paths()
    file, folder = paths.openssl_cafile_env, paths.openssl_capath_env
    os.environ.setdefault(file, paths.cafile or paths.openssl_cafile)
    os.environ.setdefault(folder, paths.capath or paths.openssl_capath)
