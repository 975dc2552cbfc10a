"""Apply all migrations to an empty database; warn about changes unsafe in a rolling deploy.

A pipeline may set WARNING_FORMAT, so that its provider shows the warnings on the change.
"""

import inspect
import os
import sys
from pathlib import Path
from unittest.mock import patch

import django
from django.conf import settings
from django.db import connection

from apps.release.management.commands.migrate import Command
from scripts.compatibility import breaks, read_schema

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
            path = Path(inspect.getfile(type(migration)))
            if is_ours(path) and not hasattr(migration, "accepted"):
                name = str(path.relative_to(settings.BASE_DIR))
                for text in breaks(before, after, migration.atomic):
                    warnings.append((name, text))
            before = after

    return watch


def is_ours(path):
    """Return whether a file is the project's, which cannot change those of a package."""
    in_a_package = path.is_relative_to(sys.prefix)
    return path.is_relative_to(settings.BASE_DIR) and not in_a_package


def show(warnings):
    """Print the warnings, those of the newest migrations first."""
    for path, text in reversed(warnings):
        print(FORMAT.format(path=path, text=text))
    if warnings:
        print("docs/migrations.md explains how to fix or to accept each warning.")


if __name__ == "__main__":
    main()
