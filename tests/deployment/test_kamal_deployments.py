"""Deployments with Kamal: each server pulls the image, and a proxy switches to it."""

import contextlib
import signal
import subprocess

import pytest

pytestmark = pytest.mark.slow


def test_missing_registry_password_is_refused(running):
    platform = running("kamal")

    code, output = platform.run(
        "deploy", "staging", platform.commits[1], REGISTRY_PASSWORD=""
    )

    assert code == 2, output
    assert "Set REGISTRY_PASSWORD: see docs/deployment.md. Nothing was" in output
    assert not platform.calls()


def test_missing_environment_file_is_refused(running):
    platform = running("kamal")
    state = platform.state()
    state["my-project-staging"]["settings"] = False
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "'test -s my-project-staging.env' --config" in output
    assert not platform.calls()


@pytest.mark.parametrize("failing", ["", "migrate", "web"])
def test_server_keeps_no_login_of_the_registry(running, failing):
    platform = running("kamal")
    platform.run("deploy", "staging", platform.commits[1], STAND_IN_FAILS=failing)

    assert "\nkamal registry login " in (platform.folder / "calls").read_text()
    assert not platform.state()["my-project-staging"]["logged_in"]


def test_failed_logout_is_only_reported(running):
    platform = running("kamal")
    new = platform.commits[1]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="logout")

    assert code == 0, output
    assert platform.running("staging") == new
    assert "A server may still have the password of the registry: `kamal" in output


@pytest.mark.parametrize("step", ["lock", "unlock", "logout"])
def test_cancelled_deployment_leaves_neither_lock_nor_login(running, step):
    platform = running("kamal")
    old, new = platform.commits[:2]

    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=step)
    platform.wait_until_held()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.5)  # Nothing stops this command.
    platform.release_held()
    output, _ = process.communicate(timeout=60)

    server = platform.state()["my-project-staging"]
    assert not server["locked"], output
    assert not server["logged_in"], output
    assert process.returncode == 1, output
    assert platform.running("staging") == old


def test_rollback_needs_no_registry(running):
    platform = running("kamal")
    new = platform.commits[1]
    platform.run("deploy", "staging", new)

    without = {"IMAGE": "", "REGISTRY_USER": "", "REGISTRY_PASSWORD": ""}
    code, output = platform.run("rollback", "staging", new, **without)

    assert code == 0, output
    assert platform.running("staging") == platform.commits[0]


def test_migration_of_the_pulled_digest_precedes_the_switch(running):
    platform = running("kamal")
    new = platform.commits[1]
    platform.run("deploy", "staging", new)

    words = [line.split()[1:3] for line in platform.calls()]
    assert words == [
        ["prune", "all"],
        ["proxy", "boot"],
        ["server", "exec"],
        ["app", "exec"],
        ["app", "boot"],
        ["app", "stale_containers"],
    ]
    name, digest = platform.image(new).split("@")
    pulled = f"docker pull {name}@{digest} && docker tag {name}@{digest} {name}:{new} "
    assert pulled in platform.calls()[2]
    assert "--primary --roles=web" in platform.calls()[3]


def test_locked_server_is_not_changed(running):
    platform = running("kamal")
    state = platform.state()
    state["my-project-staging"]["locked"] = True
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 1, output
    assert "another deployment holds the lock" in output
    assert not platform.calls()
    assert platform.state() == state


@pytest.mark.parametrize("held", ["migrate", "web"])
def test_cancelled_deployment_leaves_no_lock_and_no_container(running, held):
    platform = running("kamal")
    process = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS=held
    )
    platform.wait_until_held()
    process.terminate()
    process.communicate(timeout=60)

    server = platform.state()["my-project-staging"]
    runs = [it["image"] for it in server["containers"] if it["state"] == "running"]
    assert not server["locked"]
    assert runs == 3 * [server["latest"]]


def test_cancelled_migration_restarts_nothing(running):
    platform = running("kamal")
    process = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS="migrate"
    )
    platform.wait_until_held()
    process.terminate()
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1, output
    assert not [line for line in platform.calls() if line.startswith("kamal app boot")]
    assert not platform.state()["my-project-staging"]["logged_in"]


def test_rollback_skips_unready_releases(running):
    platform = running("kamal")
    first, second, third = platform.commits
    platform.run("deploy", "staging", second, STAND_IN_FAILS="web")
    platform.run("deploy", "staging", third)

    code, output = platform.run("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first
