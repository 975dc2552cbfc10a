"""Deployments to Heroku: a push builds, and production gets the build of staging."""

import os
import subprocess

import pytest

from tests.support.project import Project, clean_environment

pytestmark = pytest.mark.slow


def test_production_gets_the_build_of_staging(running):
    platform = running("heroku")
    for name in platform.names:
        platform.run("deploy", name, platform.commits[1])

    assert platform.calls() == [
        f"heroku build my-project-staging {platform.commits[1]}",
        f"heroku api my-project-production slug-{platform.commits[1]} "
        f"Deploy {platform.commits[1][:8]}",
    ]


def test_production_gets_the_checked_build_after_staging_moves(running):
    platform = running("heroku")
    approved, newer = platform.commits[1:]
    platform.run("deploy", "staging", approved)
    # It is held after the check, before it asks for the release.
    process = platform.start("deploy", "production", approved, STAND_IN_HOLDS="ps")
    platform.wait_until_held()
    assert platform.run("deploy", "staging", newer)[0] == 0
    platform.release_held()

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    builds = {it["slug"]["id"] for it in platform.state()["my-project-production"][:-1]}
    assert f"slug-{newer}" not in builds
    assert platform.running("production") == approved


def test_rolled_back_release_can_be_deployed_again(running):
    platform = running("heroku")
    new = platform.commits[1]
    assert platform.run("deploy", "staging", new, STAND_IN_BROKEN=new)[0] == 1

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert platform.running("staging") == new


def test_repeated_rollback_skips_no_release(running):
    platform = running("heroku")
    middle, last = platform.commits[1:]
    platform.run("deploy", "staging", middle)
    platform.run("deploy", "staging", last)
    assert platform.run("rollback", "staging", last)[0] == 0
    platform.serve(platform.names["staging"], last)  # the old dynos, for a while

    code, output = platform.run("rollback", "staging", last)

    assert code == 0, output
    assert platform.running("staging") == middle


def test_failed_release_phase_is_retried(running):
    platform = running("heroku")
    new = platform.commits[1]
    failed = {"STAND_IN_FAILS": "push-phase"}
    assert platform.run("deploy", "staging", new, **failed)[0] == 1

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert platform.calls()[-1] == "heroku releases:retry --app my-project-staging"


def test_limit_of_a_release_phase_keeps_the_previous_release(running):
    platform = running("heroku")
    old, new = platform.commits[:2]
    limit = ("deploy/heroku.py", "PHASE_TIMEOUT = TIMEOUT + 100", "PHASE_TIMEOUT = 1")
    platform.project.edit(*limit)

    try:
        code, output = platform.run(
            "deploy", "staging", new, STAND_IN_FAILS="push-endless"
        )
    finally:
        platform.project.edit(limit[0], *reversed(limit[1:]))

    assert code == 1, output
    assert "did not finish within 1 s. This is a time limit: what it star" in output
    assert f"The previous release {old} still runs and is ready: no roll" in output
    assert platform.running("staging") == old


def test_production_rejects_a_build_other_than_the_newest(running):
    platform = running("heroku")
    first, second = platform.commits[:2]
    assert platform.run("deploy", "staging", second)[0] == 0
    platform.serve(platform.names["staging"], first)  # the old dynos, for a while

    code, output = platform.run("deploy", "production", first)

    assert code == 2, output
    assert f"my-project-staging is {second[:8]}. Nothing was changed." in output


def test_shallow_clone_is_refused(running, tmp_path):
    platform = running("heroku")
    clone = tmp_path / "clone"
    source = f"file://{platform.project.path}"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", source, clone], check=True
    )
    platform.project = Project(clone)

    code, output = platform.run("deploy", "staging")

    assert code == 2, output
    assert "Fetch the full history first: git fetch --unshallow." in output


def test_git_reads_the_key_from_the_environment(project_for):
    project = project_for("heroku")
    helper = 'import heroku; print(heroku.HELPER, end="")'
    read = project.run("python3", "-c", helper, PYTHONPATH="deploy")
    done = subprocess.run(
        ["git", "-c", "credential.helper=", "-c", f"credential.helper={read.stdout}"]
        + ["credential", "fill"],
        input="protocol=https\nhost=git.heroku.com\n\n",
        env=clean_environment(HEROKU_API_KEY="HRKU-1", GIT_TERMINAL_PROMPT="0"),
        capture_output=True,
        text=True,
        check=True,
        cwd=os.sep,
    )

    assert "password=HRKU-1\n" in done.stdout
