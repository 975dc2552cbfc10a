"""A restore point of the database is created before a release that may migrate it."""

import json
import re
import shutil

import pytest

from tests.deployment.platforms import PLATFORMS
from tests.support.project import Project

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
        records = platform.project / "reports/restore-points"
        shutil.rmtree(records, ignore_errors=True)  # of other tests
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

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert "t: dump, and of an earlier deployment: dump. To restore" in output


@pytest.mark.parametrize(
    ("target", "command", "name"),
    [
        ("kubernetes", ["echo", "dump"], "dump"),
        ("heroku", None, "the backup b001 of my-project-staging"),
    ],
)
def test_rollback_names_the_restore_point(running_with, target, command, name):
    platform = running_with(target, command)
    new = platform.commits[2]
    sentence = f"Restore point: {name}. To restore it loses everything saved since.\n"

    code, output = platform.run("deploy", "staging", new)
    assert code == 0, output
    assert output.endswith(sentence)

    code, output = platform.run("rollback", "staging")
    assert code == 0, output
    assert output.endswith(f"a rollback reverses none.\n{sentence}")

    platform.run("deploy", "staging", new)
    shutil.rmtree(platform.project / "reports/restore-points")  # like another machine
    code, output = platform.run("rollback", "staging")
    assert code == 0, output
    assert output.endswith(
        "\nThe log of each deployment names its restore point, if it has one.\n"
    )


def test_release_without_new_migrations_needs_no_restore_point(running_with):
    platform = running_with("kubernetes", ["false"])
    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 0, output
    assert "No restore point is needed: no migration has changed.\n" in output


def test_clone_of_the_pipeline_shows_that_no_migration_changed(running, tmp_path):
    platform = running("kubernetes")
    source, clone = platform.project, Project(tmp_path / "clone")
    steps = source.yaml(".github/workflows/ci.yml")["jobs"]["deploy-staging"]["steps"]
    options = steps[0]["with"]
    for setting in ("allowFilter", "allowAnySHA1InWant"):  # as GitHub
        source.run_ok("git", "config", f"uploadpack.{setting}", "true")
    command = ["git", "clone", "--quiet", f"--filter={options['filter']}"]
    source.run_ok(*command, f"file://{source.path}", clone.path)
    objects = ["git", "rev-list", "--objects", "--all", "--missing=print"]
    assert "\n?" in clone.run_ok(*objects).stdout  # files of older commits
    # The checkout leaves no key behind, with which git could fetch what is missing.
    clone.run_ok("git", "remote", "set-url", "origin", "file:///nowhere")
    begin = "[environments.staging]\n"
    clone.edit(FILE, begin, f'{begin}restore_point = ["echo", "dump"]\n')
    platform.project = clone

    for release, changed in zip(platform.commits[1:], (False, True), strict=True):
        code, output = platform.run("deploy", "staging", release)

        assert code == 0, output
        assert ("No restore point is needed: no migration" in output) is not changed
        assert ("Restore point: dump\n" in output) is changed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apps/users/migrations/0003_age.py", True),
        ("requirements.txt", True),
        ("config/settings/base.py", True),  # as for a new app that is in Django
        ("apps/users/models.py", False),
    ],
)
def test_change_that_can_add_a_migration_needs_a_restore_point(
    project_for, tmp_path, name, expected
):
    project = Project(tmp_path / "clone")
    source = project_for("kubernetes")
    source.run_ok("git", "clone", "--quiet", source.path, project.path)
    with (project.path / name).open("a") as file:
        file.write("# changed\n")
    project.commit("Change a file")

    script = "import restore; print(restore.may_migrate('HEAD~', 'HEAD'))"
    done = project.run_ok("python3", "-c", script, PYTHONPATH="deploy")

    assert done.stdout == f"{expected}\n"


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
    new = platform.commits[2]
    earlier = platform.project / f"reports/restore-points/staging-{new}"
    earlier.parent.mkdir(parents=True, exist_ok=True)
    earlier.write_text("of an earlier deployment")

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert "There is no restore point: see docs/deployment.md.\n" in output

    code, output = platform.run("rollback", "staging")

    assert code == 0, output
    assert "estore point" not in output


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
