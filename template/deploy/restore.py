"""Create a restore point of the database before a release that may migrate it.

deploy/environments.toml can have `restore_point`, a command that creates one and prints
its name last. It gets ENVIRONMENT and RELEASE. An empty list turns it off.
"""

import contextlib
import os
import subprocess
from pathlib import Path

from commands import Failed, Refused, check_command, read_text

# A new version of a package, and an app that the settings add, can have migrations, too.
MIGRATIONS = (":(glob)**/migrations/**", "requirements.txt", "config/settings")
# On the machine that deployed, a rollback reads the name of the restore point here.
RECORDS = Path("reports", "restore-points")
ELSEWHERE = "The log of each deployment names its restore point, if it has one."


def check_settings(environment):
    """Raise ValueError if `restore_point` is not a command that can run."""
    check_command(environment, "restore_point", '["sh", "deploy/dump.sh"]')


def create_restore_point(target, environment, old, release):
    """Return the name of a new restore point, or an empty text if there is none.

    Raise Refused if it cannot be created.
    """
    record, earlier = find_record(environment, release), ""
    if release != old:
        with contextlib.suppress(OSError):
            earlier = record.read_text()
            record.unlink()
    if not may_migrate(old, release):
        print("No restore point is needed: no migration has changed.", flush=True)
        return ""
    if not can_create(target, environment):
        print("There is no restore point: see docs/deployment.md.", flush=True)
        return ""
    print("Creating a restore point, which can take a while.", flush=True)
    try:
        if command := environment.settings.get("restore_point"):
            name = run_command(environment, release, command)
        else:
            name = target.create_restore_point(environment)
    except Failed as error:
        raise Refused(
            f"There is no restore point: {error}. Fix the cause, or set "
            f"restore_point = [] of {environment.name} in deploy/environments.toml."
        ) from error
    print(f"Restore point: {name}", flush=True)
    if earlier:  # which may have migrated, and then failed
        name += f", and of an earlier deployment: {earlier}"
    with contextlib.suppress(OSError):  # The log names it as well.
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(name)
    return name


def can_create(target, environment):
    """Return whether the environment has a command, or the target a way of its own."""
    own = hasattr(target, "create_restore_point")
    return bool(environment.settings.get("restore_point", own))


def find_record(environment, release):
    return RECORDS / f"{environment.name}-{release}"


def describe(name):
    """Return a sentence about a restore point."""
    return f"Restore point: {name}. To restore it loses everything saved since."


def describe_earlier(target, environment, release):
    """Return a sentence about the restore point before an earlier deployment, or ""."""
    with contextlib.suppress(OSError):
        return describe(find_record(environment, release).read_text())
    return ELSEWHERE if can_create(target, environment) else ""


def may_migrate(old, release):
    """Return whether the releases can differ in a migration; if unknown, they can."""
    command = ["git", "diff", "--quiet", f"{release}..{old}", "--", *MIGRATIONS]
    done = subprocess.run(command, stderr=subprocess.DEVNULL)
    return not old or done.returncode != 0


def run_command(environment, release, command):
    """Run the command of an environment; return the last line that it prints."""
    os.environ |= {"ENVIRONMENT": environment.name, "RELEASE": release}
    lines = read_text(*command).strip().splitlines()
    if not lines:
        raise Failed("restore_point printed no name")
    return lines[-1]
