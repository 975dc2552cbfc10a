"""`make release` tags a commit that has passed, and refuses every other one."""

import datetime
import json
import shutil
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from tests.maintenance.release import find_faults_of_changelog, find_faults_of_version
from tests.support.options import TEMPLATE
from tests.support.project import Project

CHANGELOG = """\
# Changelog

## Unreleased

### What you must do

- Run `make lock`.

### Added

- A question.
"""
PATCH = CHANGELOG.replace("- Run `make lock`.", "Nothing.")
# A stand-in for the pipeline, which runs `make test`, and for all tests: one that can fail
STAND_IN = {
    ".ci/run": "#!/usr/bin/env bash\nCI=true FRESH=1 exec make test\n",
    "tests/conftest.py": 'pytest_plugins = ["tests.support.suite"]\n',
    "tests/test_truth.py": (
        'import os\n\n\ndef test_truth():\n    assert "BROKEN" not in os.environ\n'
    ),
}
VERSIONS = {Version("1.0.0"): "v1.0.0", Version("1.1.0rc1"): "v1.1.0rc1"}


@pytest.fixture(scope="module")
def repository(template, tmp_path_factory):
    """Return a clone of this repository, as it is here, on main and without a tag."""
    clone = Project(tmp_path_factory.mktemp("repository"))
    options = ("--quiet", "--no-checkout", "--no-tags", "--shared")
    clone.run_ok("git", "clone", *options, str(TEMPLATE), ".")
    clone.run_ok("git", "update-ref", "refs/heads/main", "HEAD")
    clone.run_ok("git", "symbolic-ref", "HEAD", "refs/heads/main")
    clone.run_ok("git", "remote", "remove", "origin")
    shutil.copytree(template, clone.path, dirs_exist_ok=True)
    for path in (clone / "tests").rglob("test_*.py"):
        path.unlink()
    for name, text in {**STAND_IN, "CHANGELOG.md": CHANGELOG}.items():
        (clone / name).write_text(text)
    (clone / ".venv").symlink_to(Path(sys.prefix))
    (clone / ".git/info/exclude").write_text(".venv\n")
    clone.run_ok("git", "config", "user.name", "Test")
    clone.run_ok("git", "config", "user.email", "test@example.com")
    clone.commit("feat: Add a question")
    return clone


@pytest.fixture
def clone(repository, tmp_path):
    """Return a clone for the test to change and release."""
    return repository.copy_to(tmp_path / "clone")


def release(clone, version="1.0.0", **variables):
    return clone.make("release", f"VERSION={version}", **variables)


def state(clone):
    """Return all that a release changes."""
    commands = ("rev-parse HEAD", "tag", "status --porcelain")
    done = [clone.run("git", *command.split()).stdout for command in commands]
    return [*done, clone.read("CHANGELOG.md")]


def refusal(clone, version="1.0.0", **variables):
    """Return why there is no release. Nothing may have changed."""
    before = state(clone)
    done = release(clone, version, **variables)
    assert done.returncode == 2, done.stdout
    assert state(clone) == before
    return done.stdout.partition(f"No release {version}:\n")[2]


def record(clone, tree):
    """Write the record that a passed suite leaves."""
    (clone / ".cache").mkdir(exist_ok=True)
    (clone / ".cache/suite.json").write_text(json.dumps({"tree": tree}))


def released(clone, **variables):
    """Release; return the commands that publish the release, and those that undo it."""
    done = release(clone, **variables)
    assert done.returncode == 0, done.stdout
    return [line for line in done.stdout.splitlines() if line.startswith("  git ")]


@pytest.mark.slow
@pytest.mark.seconds(10)
def test_commit_is_released_once_its_suite_has_passed(clone, tmp_path):
    origin = Project(tmp_path / "origin")
    clone.run_ok("git", "clone", "--quiet", "--bare", ".", str(origin.path))
    clone.run_ok("git", "remote", "add", "origin", str(origin.path))
    record(clone, "the files of another commit")
    assert "The suite failed" in refusal(clone, BROKEN="1")
    before = state(clone)

    _, undo = released(clone)

    title = f"## 1.0.0 ({datetime.date.today()})\n"
    assert clone.read("CHANGELOG.md") == CHANGELOG.replace("## Unreleased\n", title)
    log = clone.run("git", "log", "--format=%s", "-2").stdout
    assert log == "chore: Release 1.0.0\nfeat: Add a question\n"
    # Only an annotated tag is described without --tags.
    assert clone.run("git", "describe").stdout == "v1.0.0\n"
    assert clone.run("git", "status", "--porcelain").stdout == ""

    clone.run_ok("bash", "-c", undo)
    assert state(clone) == before
    # The suite has passed on this commit, so it does not run again.
    publish, _ = released(clone, BROKEN="1")
    assert origin.run("git", "tag").stdout == ""
    clone.run_ok("bash", "-c", publish)
    assert origin.run("git", "describe", "main").stdout == "v1.0.0\n"


def test_commit_with_a_lint_error_is_refused(clone):
    (clone / "tests/unused.py").write_text("import os\n")
    clone.commit("feat: Import a module")
    assert "make lint failed" in refusal(clone)


def test_commit_that_a_hook_refuses_is_no_release(clone):
    record(clone, clone.run("git", "rev-parse", "HEAD^{tree}").stdout.strip())
    hook = clone / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho Not today. >&2\nexit 1\n")
    hook.chmod(0o755)
    assert refusal(clone).startswith("git commit failed: Not today.\n")


def test_refusal_lists_all_reasons(clone):
    clone.run_ok("git", "switch", "--quiet", "--create", "other")
    clone.run_ok("git", "tag", "v1.0.0")
    clone.run_ok("git", "tag", "not-a-version")
    clone.edit("CHANGELOG.md", "What you must do", "Changed")
    (clone / "new").touch()
    assert refusal(clone).startswith(
        "The version must be higher than the newest tag, v1.0.0.\n"
        "Switch to the branch main. This is other.\n"
        "Commit or stash these files:\n"
        " M CHANGELOG.md\n"
        "?? new\n"
        "CHANGELOG.md: Unreleased: begin with “### What you must do”"
    )


def test_newer_commit_and_tag_of_origin_are_refused(clone, tmp_path):
    other = clone.copy_to(tmp_path / "other")
    other.run_ok("git", "tag", "v2.0.0")
    (other / "new").touch()
    other.commit("feat: Add a file")
    clone.run_ok("git", "remote", "add", "origin", str(other.path))
    assert refusal(clone).startswith(
        "The version must be higher than the newest tag, v2.0.0.\n"
        "Pull first: the branch main of origin has newer commits.\n"
    )


def test_release_without_a_version_names_the_command(clone):
    done = clone.make("release")
    assert done.returncode == 2
    assert "Set the version: make release VERSION=1.0.0\n" in done.stdout


@pytest.mark.parametrize("version", ["1.1.0rc2", "1.1.0", "2.0.0"])
def test_higher_version_is_accepted(version):
    assert list(find_faults_of_version(version, VERSIONS)) == []


@pytest.mark.parametrize("version", ["0.9.0", "1.0.0", "1.0.9", "1.1.0rc1", "1.1.0a2"])
def test_version_below_the_newest_is_refused(version):
    (reason,) = find_faults_of_version(version, VERSIONS)
    assert reason == "The version must be higher than the newest tag, v1.1.0rc1."


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-rc.1", "1.0.0.dev1"]
    + ["1.0.0.post1", "1!1.0.0", "1.0.0+local", "newest", "1.0.0\n"],
)
def test_version_of_another_form_is_refused(version):
    (reason,) = find_faults_of_version(version, {})
    assert "Write three numbers" in reason


def test_changelog_without_unreleased_changes_is_refused():
    released = CHANGELOG.replace("Unreleased", "1.0.0 (2026-11-30)")
    (reason,) = find_faults_of_changelog("1.0.1", released)
    assert "has no section “Unreleased”" in reason


def test_patch_release_asks_nothing_of_its_users():
    (reason,) = find_faults_of_changelog("1.0.1", CHANGELOG)
    assert reason.startswith("A patch release asks nothing of its users")
    assert list(find_faults_of_changelog("1.0.1", PATCH)) == []
    assert list(find_faults_of_changelog("1.1.0", CHANGELOG)) == []
