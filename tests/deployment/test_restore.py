"""A restore point of the database is created before a release that may migrate it."""

import json
import re

import pytest

from tests.deployment.platforms import PLATFORMS

pytestmark = pytest.mark.slow
FILE = "deploy/environments.toml"


@pytest.fixture
def running_with(running):
    """Return a function that returns a platform with a setting of `restore_point`."""
    changed = []

    def running_with(target, command=None):
        platform = running(target)
        settings = platform.project / FILE
        changed.append((settings, settings.read_text()))
        if command is not None:
            begin = "[environments.staging]\n"
            line = f"restore_point = {json.dumps(command)}\n"
            platform.project.edit(FILE, begin, begin + line)
        return platform

    yield running_with
    for settings, text in reversed(changed):
        settings.write_text(text)


@pytest.mark.parametrize("target", PLATFORMS)
def test_restore_point_precedes_a_migration(running_with, target):
    script = 'cp "$STAND_IN/calls" "$STAND_IN/before"; test "$WORKS"'
    script += "; echo working; echo $ENVIRONMENT-$RELEASE.dump"
    platform = running_with(target, ["sh", "-ec", script])
    old, _, new = platform.commits
    broken = {"STAND_IN_BROKEN": new}

    code, output = platform.run("deploy", "staging", new, **broken)
    assert code == 2, output
    assert "There is no restore point: `sh -ec " in output
    assert "` failed. Fix the cause, or set restore_point = [] of staging in " in output
    assert not platform.calls()

    code, output = platform.run("deploy", "staging", new, WORKS="yes", **broken)
    assert code == 1, output
    *_, report = output.partition("The deployment to staging failed: ")
    assert f"\nRestore point: staging-{new}.dump\n" in output
    assert f"\nRestore point: staging-{new}.dump. To restore it loses every" in report
    assert platform.running("staging") == old
    before = (platform.folder / "before").read_text().splitlines()
    changes = [it for it in before if not it.startswith(tuple(platform.reads))]
    assert changes == []


def test_failed_migration_names_the_restore_point(running_with):
    platform = running_with("kubernetes", ["echo", "dump"])
    new = platform.commits[2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="migrate")

    assert code == 1, output
    failed = "The deployment to staging failed: the migration failed: .*\n"
    assert re.search(f"{failed}Restore point: dump\\. To restore", output)


def test_release_without_new_migrations_needs_no_restore_point(running_with):
    platform = running_with("kubernetes", ["false"])
    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 0, output
    assert "No restore point is needed: no migration has changed.\n" in output


@pytest.mark.parametrize("old", ["", 40 * "f", "--output=found"])
def test_unknown_running_release_needs_a_restore_point(running_with, old):
    platform = running_with("kubernetes", ["false"])
    platform.serve(platform.names["staging"], old)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "There is no restore point: `false` failed. " in output
    assert not (platform.project / "found").exists()


def test_first_release_needs_no_restore_point(created):
    platform = created("heroku")

    code, output = platform.run("deploy", "staging", platform.commits[2])

    assert code == 0, output
    assert "estore point" not in output


def test_documented_time_is_a_restore_point(running_with):
    platform = running_with("kubernetes")
    page = platform.project.read("docs/deployment.md")
    (command,) = re.findall(r'`restore_point = (\["date".*?\])`', page)
    begin = "[environments.staging]\n"
    platform.project.edit(FILE, begin, f"{begin}restore_point = {command}\n")

    code, output = platform.run("deploy", "staging", platform.commits[2])

    assert code == 0, output
    assert re.search(r"^Restore point: 20\d\d-\d\d-\d\dT[\d:]{8}Z$", output, re.M)


def test_missing_restore_point_is_reported(running_with):
    platform = running_with("kubernetes")

    code, output = platform.run("deploy", "staging", platform.commits[2])

    assert code == 0, output
    assert "There is no restore point: see docs/deployment.md.\n" in output


def test_backup_of_heroku_is_the_default(running_with):
    platform = running_with("heroku")
    new = platform.commits[2]

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert "Restore point: the backup b001 of my-project-staging\n" in output
    assert platform.state()["backups"] == ["my-project-staging"]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("capture", "`heroku pg:backups:capture --app my-project-staging` failed"),
        ("scheduled", "Heroku does not list the backup of my-project-staging"),
    ],
)
def test_failed_backup_of_heroku_changes_nothing(running_with, step, reason):
    platform = running_with("heroku")
    new = platform.commits[2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS=step)

    assert code == 2, output
    assert f"There is no restore point: {reason}. Fix the cause, or " in output
    assert not platform.calls()


def test_empty_restore_point_turns_the_default_off(running_with):
    platform = running_with("heroku", [])

    code, output = platform.run("deploy", "staging", platform.commits[2])

    assert code == 0, output
    assert "There is no restore point: see docs/deployment.md.\n" in output
    assert "backups" not in platform.state()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("sh deploy/dump.sh", "Set restore_point of staging in deploy/environments."),
        ([1], "Set restore_point of staging in deploy/environments.toml to a list"),
        (["nowhere"], "Install nowhere, which restore_point runs. Nothing was "),
        (["true"], "There is no restore point: restore_point printed no name. "),
    ],
)
def test_invalid_restore_point_changes_nothing(running_with, command, sentence):
    platform = running_with("kubernetes", command)

    code, output = platform.run("deploy", "staging", platform.commits[2])

    assert code == 2, output
    assert sentence in output
    assert not platform.calls()
