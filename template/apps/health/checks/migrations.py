from django.db import connection
from django.db.migrations.executor import MigrationExecutor


class UnappliedMigrations(Exception):
    """The code is ahead of the database: run `manage.py migrate`."""


def check():
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        raise UnappliedMigrations(", ".join(str(migration) for migration, _ in plan))
