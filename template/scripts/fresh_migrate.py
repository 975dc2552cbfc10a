"""Apply all migrations to an empty database; warn about changes unsafe in a rolling deploy.

A pipeline may set WARNING_FORMAT, so that its provider shows the warnings on the change.
"""

import os
from unittest.mock import patch

import django
from compatibility import breaks, read_schema
from django.db import connection

from apps.release.management.commands.migrate import Command

FORMAT = os.environ.get("WARNING_FORMAT") or "{path}: {text}"


def main():
    django.setup()
    name = connection.settings_dict["NAME"]
    warnings: list[tuple[str, str]] = []
    # Django calls this method around each migration.
    with patch.object(Command, "migration_progress_callback", watching(warnings)):
        connection.creation.create_test_db(verbosity=2, autoclobber=True)
    connection.creation.destroy_test_db(name)
    show(warnings)


def watching(warnings):
    """Return a progress callback for `migrate` that appends (path, text) to `warnings`."""
    report_progress = Command.migration_progress_callback
    before: tuple[dict, dict] = {}, {}

    def watch(command, action, migration=None, fake=False):
        nonlocal before
        report_progress(command, action, migration, fake)
        if action == "apply_success":
            after = read_schema(connection)
            # The project cannot change the migrations of a package.
            is_ours = migration.__module__.startswith("apps.")
            if is_ours and not hasattr(migration, "accepted"):
                path = migration.__module__.replace(".", "/") + ".py"
                for text in breaks(before, after, migration.atomic):
                    warnings.append((path, text))
            before = after

    return watch


def show(warnings):
    """Print the warnings, those of the newest migrations first."""
    for path, text in reversed(warnings):
        print(FORMAT.format(path=path, text=text))
    if warnings:
        print("docs/migrations.md explains how to fix or to accept each warning.")


if __name__ == "__main__":
    main()
