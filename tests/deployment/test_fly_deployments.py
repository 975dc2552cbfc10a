"""Deployments to Fly.io: each app gets a copy of the image in its own registry."""

import pytest

from tests.deployment.platforms.base import STAND_INS
from tests.support.machine import link_programs

pytestmark = pytest.mark.slow


def test_apps_run_a_copy_with_the_published_digest(running):
    platform = running("fly")
    new = platform.commits[1]
    for name in platform.names:
        platform.run("deploy", name, new)

    assert platform.calls() == [
        call
        for name, app in platform.names.items()
        for call in (
            "flyctl auth docker",
            f"docker buildx imagetools create --prefer-index=false --tag "
            f"registry.fly.io/{app}:{new} {platform.image(new)}",
            f"flyctl deploy --app {app} --config deploy/fly/{name}.toml --image "
            f"registry.fly.io/{app}@{platform.digest(new)}",
        )
    ]


def test_rollback_runs_the_old_image_without_migrating(running):
    platform = running("fly")
    old, new = platform.commits[:2]
    platform.run("deploy", "staging", new, STAND_IN_BROKEN=new)

    image = f"registry.fly.io/my-project-staging@{platform.digest(old)}"
    assert platform.calls()[-1].endswith(f"--image {image} --skip-release-command")


def test_machines_determine_the_running_release(running):
    platform = running("fly")
    old, failed, broken = platform.commits
    platform.run("deploy", "staging", failed, STAND_IN_FAILS="migrate")
    command = ["flyctl", "secrets", "set", "--app", "my-project-staging", "NAME=value"]
    platform.project.run(*command, **platform.variables)
    newest = platform.state()["my-project-staging"]["releases"][0]
    assert newest["ImageRef"].endswith(platform.digest(failed))

    code, output = platform.run("deploy", "staging", broken, STAND_IN_BROKEN=broken)

    assert code == 1, output
    assert f"The previous release {old} runs again and is ready." in output


def test_rollback_works_while_a_host_is_lost(running):
    platform = running("fly")
    old, new = platform.commits[:2]
    state = platform.state()
    state["my-project-staging"]["machines"].append(["m3", "web", None])
    platform.save(state)

    code, output = platform.run("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 1, output
    assert f"The previous release {old} runs again and is ready." in output


def test_rollback_skips_failed_releases(running):
    platform = running("fly")
    first, failed, third = platform.commits
    platform.run("deploy", "staging", failed, STAND_IN_FAILS="migrate")
    platform.run("deploy", "staging", third)

    code, output = platform.run("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first


def test_only_deployments_require_docker_not_rollbacks(running, tmp_path):
    platform = running("fly")
    platform.run("deploy", "staging", platform.commits[1])
    path = link_programs(tmp_path / "bin", ["git", "python3"])
    (path / "flyctl").symlink_to(STAND_INS / "flyctl")
    without = {"PATH": str(path)}

    code, output = platform.run("deploy", "staging", platform.commits[2], **without)
    assert code == 2
    assert output.endswith("Install docker, then try again. Nothing was changed.\n")
    release = platform.commits[1]
    code, output = platform.run("rollback", "staging", release, **without)
    assert code == 0, output
