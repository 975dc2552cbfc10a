"""Apply all migrations to empty databases; warn about changes unsafe in a rolling deploy.

The warnings are about the migrations of this change, or about all if git does not know
which those are. With --enforce, they are errors. A pipeline may set WARNING_FORMAT, so that
its provider shows the warnings on the change.
"""

import inspect
import os
import sys
from pathlib import Path
from unittest.mock import patch

import django
from django.conf import settings
from django.db import NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.release.management.commands.migrate import Command
from scripts.compatibility import breaks, follow, read_schema
from scripts.history import UnknownBase, changed_files, find_base, known_files
from scripts.services import provide, wait_for_turn

FORMAT = os.environ.get("WARNING_FORMAT") or "{path}: warning: {text}"


def main():
    provide()
    wait_for_turn()
    django.setup()
    changed, new = find_changed()
    warnings: list[tuple[str, str]] = []
    databases, others = find_databases()
    for database in databases:
        check(database, changed, new, warnings)
    show(warnings)
    if others:
        print("Warning: these databases are not checked: " + ", ".join(others))
    if warnings and "--enforce" in sys.argv:
        advice = "Fix each of these migrations, or set `accepted` in it to the reason."
        if changed is None:
            advice += " To check fewer, fetch more commits, or set BASE_COMMIT."
        sys.exit(advice)


def find_databases():
    """Return the databases to check, and the aliases of those that are not PostgreSQL."""
    found: dict[tuple, BaseDatabaseWrapper] = {}
    others = []
    for database in connections.all():
        if database.vendor != "postgresql":
            others.append(database.alias)
        elif not database.settings_dict["TEST"]["MIRROR"]:
            # Two aliases may be one database.
            found.setdefault(database.creation.test_db_signature(), database)
    return found.values(), others


def check(database, changed, new, warnings):
    """Migrate an empty copy of a database; append (path, text) to `warnings`."""
    name = database.settings_dict["NAME"]
    # Django calls this method around each migration.
    watch = watching(database, changed, new, warnings)
    with patch.object(Command, "migration_progress_callback", watch):
        try:
            database.creation.create_test_db(verbosity=2, autoclobber=True)
        except NotSupportedError as error:
            reason = str(error).partition("\n")[0]
            sys.exit(f"{reason}. Set POSTGRES_HOST to a PostgreSQL that supports it.")
    database.creation.destroy_test_db(name)


def find_changed():
    """Return the files of this change, and those that it adds, and print the base.

    Without a base, return None, because all files count, and no file as new.
    """
    try:
        base = find_base()
        changed = changed_files(settings.BASE_DIR, base)
        new = changed - known_files(settings.BASE_DIR, base)
    except UnknownBase as reason:
        print(f"Finding breaking changes in all migrations, because {reason}.")
        return None, set()
    print(f"Finding breaking changes since {' and '.join(base)}.")
    return changed, new


def watching(database, changed, new, warnings):
    """Return a progress callback for `migrate` that appends (path, text) to `warnings`."""
    report_progress = Command.migration_progress_callback
    before: tuple[dict, dict] = {}, {}
    used: set[tuple] = set()

    def watch(command, action, migration=None, fake=False):
        nonlocal before, used
        report_progress(command, action, migration, fake)
        if action == "apply_success":
            after = read_schema(database)
            path = Path(inspect.getfile(type(migration)))
            name = os.path.relpath(path, settings.BASE_DIR)
            if is_judged(path, changed) and not is_accepted(migration):
                for text in breaks(before, after, used, migration.atomic):
                    warnings.append((name, text))
            # What a squashed migration creates exists already.
            is_new = name in new and not migration.replaces
            used = follow(used, before, after, is_new)
            before = after

    return watch


def is_accepted(migration):
    """Return whether a migration has the reason why its changes are safe."""
    reason = getattr(migration, "accepted", "")
    return isinstance(reason, str) and bool(reason.strip())


def is_judged(path, changed):
    """Return whether a file is the project's, not a package's, and part of the change."""
    in_a_package = path.is_relative_to(sys.prefix)
    if in_a_package or not path.is_relative_to(settings.BASE_DIR):
        return False
    return changed is None or str(path.relative_to(settings.BASE_DIR)) in changed


def show(warnings):
    """Print the warnings, those of the newest migrations first."""
    for path, text in reversed(warnings):
        print(FORMAT.format(path=path, text=text))
    if warnings:
        print("docs/migrations.md explains how to fix or to accept each warning.")


if __name__ == "__main__":
    main()
