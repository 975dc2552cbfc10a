"""The PostgreSQL server of the settings."""

import sys

import psycopg
from django.db import connection
from environs import EnvError

FAILURES = (psycopg.OperationalError,)


def find_servers():
    try:
        parts = connection.get_connection_params()
    except EnvError as error:
        sys.exit(str(error))
    # The settings' database may not exist yet, and tests create theirs from this one.
    parts["dbname"] = "postgres"
    name = f"PostgreSQL at {parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
    return {name: lambda: psycopg.connect(**parts).close()}
