"""A delivery ends well or goes back, at whichever step the platform fails."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from tests.deployment.platforms import PLATFORMS, STAND_INS, sites
from tests.support.project import Project, clean_environment

pytestmark = pytest.mark.slow
NAMES = ("staging", "production")
UNCERTAIN = 'Which release runs is not certain: read "By hand" in docs/delivery.md.'
# What fails when B comes after A and the platform keeps A: where, the step, what is said.
KEPT = [
    ("heroku", "staging", "build", "push --force .* failed"),
    ("heroku", "staging", "push-phase", "the release phase, which migrates, failed"),
    ("heroku", "staging", "push-late", "the release phase, which migrates, failed"),
    ("heroku", "production", "promote", "heroku pipelines:promote .* failed"),
    ("heroku", "production", "promote-phase", "the release phase, .*, failed"),
    ("render", "staging", "web:build_failed", "the build failed"),
    ("render", "staging", "web:pre_deploy_failed", "which migrates, failed"),
    ("render", "staging", "web:refused", "render deploys create .* failed"),
    ("render", "production", "web:update_failed", "Render's health check"),
    ("render-image", "staging", "web:build_failed", "did not get the image"),
    ("render-image", "staging", "web:pre_deploy_failed", "which migrates, failed"),
    ("render-image", "staging", "web:refused", "render deploys create .* failed"),
    ("render-image", "production", "web:update_failed", "Render's health check"),
    ("fly", "staging", "copy", "imagetools create .* failed"),
    ("fly", "staging", "image", "flyctl deploy .* failed"),
    ("fly", "staging", "migrate", "the release command, which migrates, failed"),
    ("fly", "production", "migrate", "the release command, which migrates, failed"),
    ("kamal", "staging", "migrate", "the migration failed: `kamal app exec .* failed"),
    ("kamal", "production", "web", "the new container did not become ready"),
    (
        "kubernetes",
        "staging",
        "migrate",
        "the migration failed: the Job migrate-.* failed",
    ),
    (
        "kubernetes",
        "production",
        "migrate",
        "the migration failed: the Job migrate-.* failed",
    ),
]
# What fails when B comes after A, once something was switched.
HALF_WAY = [
    ("render", "worker:build_failed"),
    ("render", "worker:lost"),
    ("render", "web:lost"),
    ("render-image", "worker:build_failed"),
    ("render-image", "worker:lost"),
    ("render-image", "web:lost"),
    ("fly", "web"),
    ("fly", "worker"),
    ("kamal", "worker"),
    ("kubernetes", "apply"),
    ("kubernetes", "web-rollout"),
    ("kubernetes", "worker-rollout"),
]
# What fails on the way back from a broken B.
NO_WAY_BACK = [
    ("heroku", "rollback"),
    ("heroku", "rollback-phase"),
    ("render", "web-back:build_failed"),
    ("render", "worker-back:build_failed"),
    ("render-image", "web-back:build_failed"),
    ("render-image", "worker-back:build_failed"),
    ("fly", "back-image"),
    ("fly", "back-worker"),
    ("kamal", "back"),
    ("kubernetes", "undo"),
]
on_each_platform = pytest.mark.parametrize("target", PLATFORMS)
on_each_platform_of_images = pytest.mark.parametrize(
    "target", ["fly", "kamal", "kubernetes", "render-image"]
)


@pytest.fixture(scope="module")
def server():
    with sites() as server:
        yield server


@pytest.fixture(scope="module")
def project(render_for_module, server):
    """Return a function that returns the project of a target, with three commits."""

    @functools.cache
    def project(target):
        project = render_for_module(
            deploy_target=target.partition("-")[0],
            use_docker=target not in ("heroku", "render"),
            use_redis=True,
            use_celery=True,
            staging_url="https://staging.example.com",
            production_url="https://production.example.com",
        )
        for name in NAMES:
            site = f"http://localhost:{server.server_port}/my-project-{name}"
            project.edit(
                "deploy/environments.toml", f"https://{name}.example.com", site
            )
        project.commits = [commit(project, text) for text in "ABC"]
        return project

    return project


def commit(project, text):
    (project / "NOTES").write_text(text)
    project.commit(text)
    return project.run("git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture
def begin(project, server, tmp_path):
    """Return a function that returns a platform before its first release."""
    return lambda target: PLATFORMS[target](project(target), tmp_path, server)


@pytest.fixture
def running(begin):
    """Return a function that returns a platform with release A in both environments."""

    def running(target):
        platform = begin(target)
        platform.run_first()
        return platform

    return running


# When all goes well


@on_each_platform
def test_a_release_goes_to_staging_and_then_to_production(begin, target):
    platform = begin(target)
    for release in platform.commits[:2]:
        for name in NAMES:
            code, output = platform.deliver("deploy", name, release)
            assert code == 0, output
            assert f"{name} runs {release}: http" in output
            assert platform.running(name) == release


def test_heroku_promotes_what_staging_built(running):
    platform = running("heroku")
    for name in NAMES:
        platform.deliver("deploy", name, platform.commits[1])

    assert platform.asked() == [
        f"heroku build my-project-staging {platform.commits[1]}",
        "heroku pipelines:promote --app my-project-staging --to my-project-production",
    ]


def test_render_builds_the_same_commit_for_each_service_and_migrates_first(running):
    platform = running("render")
    platform.deliver("deploy", "staging", platform.commits[1])

    options = f"--commit {platform.commits[1]} --wait --confirm --output json"
    assert platform.asked() == [
        f"render deploys create srv-my-project-staging {options}",
        f"render deploys create srv-my-project-staging-worker {options}",
    ]


def test_render_runs_one_image_in_each_service_and_goes_back_without_a_build(running):
    platform = running("render-image")
    old, new = map(platform.image, platform.commits[:2])
    for name in NAMES:
        platform.deliver("deploy", name, platform.commits[1])
    platform.deliver("rollback", "production")

    asked = [line.split() for line in platform.asked()]
    assert {(*line[:3], *line[6:]) for line in asked} == {
        ("render", "deploys", "create", "--wait", "--confirm", "--output", "json")
    }
    assert [line[3:6] for line in asked] == [
        ["srv-my-project-staging", "--image", new],
        ["srv-my-project-staging-worker", "--image", new],
        ["srv-my-project-production", "--image", new],
        ["srv-my-project-production-worker", "--image", new],
        ["srv-my-project-production", "--image", old],
        ["srv-my-project-production-worker", "--image", old],
    ]


def test_fly_copies_the_image_by_its_digest_and_runs_the_copy(running):
    platform = running("fly")
    new = platform.commits[1]
    for name in NAMES:
        platform.deliver("deploy", name, new)

    assert platform.asked() == [
        asked
        for name, app in platform.names.items()
        for asked in (
            "flyctl auth docker",
            f"docker buildx imagetools create --prefer-index=false --tag "
            f"registry.fly.io/{app}:{new} {platform.image(new)}",
            f"flyctl deploy --app {app} --config deploy/fly/{name}.toml --image "
            f"registry.fly.io/{app}@{platform.digest(new)}",
        )
    ]


@on_each_platform
def test_make_delivers_head_and_needs_no_set_up(running, target):
    platform = running(target)
    variables = platform.variables
    url = f"http://localhost:{platform.sites.server_port}/my-project-staging"

    deployed = platform.project.make("deploy", "ENVIRONMENT=staging", **variables)
    asked = platform.project.make(
        "smoke", f"URL={url}", f"RELEASE={platform.commits[2]}", **variables
    )
    back = platform.project.make("rollback", "ENVIRONMENT=staging", **variables)

    assert deployed.returncode == 0, deployed.stdout
    assert asked.stdout == f"{url} is ready and runs release {platform.commits[2]}.\n"
    assert back.returncode == 0, back.stdout
    assert not (platform.project / ".venv").exists()


@on_each_platform
def test_the_same_release_can_be_delivered_again(running, target):
    platform = running(target)
    code, output = platform.deliver("deploy", "staging", platform.commits[0])

    assert code == 0, output
    assert platform.asked()


def test_heroku_releases_again_what_it_once_went_back_from(running):
    platform = running("heroku")
    new = platform.commits[1]
    assert platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=new)[0] == 1

    code, output = platform.deliver("deploy", "staging", new)

    assert code == 0, output
    assert platform.running("staging") == new


def test_heroku_repeats_a_release_phase_that_failed(running):
    platform = running("heroku")
    new = platform.commits[1]
    failed = {"STAND_IN_FAILS": "push-phase"}
    assert platform.deliver("deploy", "staging", new, **failed)[0] == 1

    code, output = platform.deliver("deploy", "staging", new)

    assert code == 0, output
    assert platform.asked()[-1] == "heroku releases:retry --app my-project-staging"


# When a step fails


@pytest.mark.parametrize(("target", "name", "step", "words"), KEPT)
def test_a_release_that_does_not_start_leaves_the_old_one(
    running, target, name, step, words
):
    platform = running(target)
    old, new = platform.commits[:2]
    if name == "production":
        platform.deliver("deploy", "staging", new)

    code, output = platform.deliver("deploy", name, new, STAND_IN_FAILS=step)

    assert code == 1, output
    assert re.search(f"The deployment to {name} failed: .*{words}", output), output
    assert f"The old release {old} still runs and is ready; nothing was" in output
    assert platform.running(name) == old
    assert "rollback" not in platform.asked()[-1]


@on_each_platform
@pytest.mark.parametrize("name", NAMES)
def test_a_release_that_is_not_ready_is_replaced_by_the_old_one(running, target, name):
    platform = running(target)
    old, new = platform.commits[:2]
    if name == "production":
        platform.deliver("deploy", "staging", new)

    code, output = platform.deliver("deploy", name, new, STAND_IN_BROKEN=new)

    assert code == 1, output
    assert f"release {new} is not ready: database" in output
    assert f"The old release {old} runs again and is ready." in output
    assert "none is reversed" in output
    assert platform.running(name) == old


@pytest.mark.parametrize(("target", "step"), HALF_WAY)
def test_what_was_switched_half_way_goes_back(running, target, step):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_FAILS=step)

    assert code == 1, output
    assert f"The old release {old} runs again and is ready." in output
    assert platform.running("staging") == old
    assert "in_progress" not in (platform.folder / "state.json").read_text()


def test_fly_goes_back_to_the_old_image_and_does_not_migrate(running):
    platform = running("fly")
    old, new = platform.commits[:2]
    platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=new)

    image = f"registry.fly.io/my-project-staging@{platform.digest(old)}"
    assert platform.asked()[-1].endswith(f"--image {image} --skip-release-command")


def test_fly_believes_its_machines_about_what_runs(running):
    platform = running("fly")
    old, failed, broken = platform.commits
    platform.deliver("deploy", "staging", failed, STAND_IN_FAILS="migrate")
    command = ["flyctl", "secrets", "set", "--app", "my-project-staging", "NAME=value"]
    platform.project.run(*command, **platform.variables)
    newest = platform.state()["my-project-staging"]["releases"][0]
    assert newest["ImageRef"].endswith(platform.digest(failed))

    code, output = platform.deliver("deploy", "staging", broken, STAND_IN_BROKEN=broken)

    assert code == 1, output
    assert f"The old release {old} runs again and is ready." in output


def test_fly_goes_back_while_a_host_is_lost(running):
    platform = running("fly")
    old, new = platform.commits[:2]
    state = platform.state()
    state["my-project-staging"]["machines"].append(["m3", "web", None])
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 1, output
    assert f"The old release {old} runs again and is ready." in output


@pytest.mark.parametrize(("target", "step"), NO_WAY_BACK)
def test_when_going_back_fails_too_a_person_must_look(running, target, step):
    platform = running(target)
    new = platform.commits[1]

    code, output = platform.deliver(
        "deploy", "staging", new, STAND_IN_BROKEN=new, STAND_IN_FAILS=step
    )

    assert code == 3, output
    assert "Going back failed, too: " in output
    assert output.endswith(f"{UNCERTAIN}\n")


@on_each_platform
def test_an_old_release_that_is_not_ready_either_is_said(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.deliver(
        "deploy", "staging", new, STAND_IN_BROKEN=f"{old} {new}"
    )

    assert code == 3, output
    assert re.search(f"Going back failed, too: .* release {old} is not ready", output)
    assert output.endswith(f"{UNCERTAIN}\n")


@on_each_platform
def test_a_first_release_that_is_not_ready_has_nothing_to_go_back_to(begin, target):
    platform = begin(target)
    new = platform.commits[0]

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 3, output
    assert "There is no earlier release to go back to" in output


@pytest.mark.parametrize(
    ("target", "step"),
    [
        ("heroku", "push-phase"),
        ("render", "web:pre_deploy_failed"),
        ("render", "web:refused"),
        ("render-image", "web:pre_deploy_failed"),
        ("fly", "migrate"),
        ("kamal", "migrate"),
        ("kamal", "web"),
    ],
)
def test_a_first_release_that_does_not_start_leaves_nothing(begin, target, step):
    platform = begin(target)
    release = platform.commits[0]

    code, output = platform.deliver("deploy", "staging", release, STAND_IN_FAILS=step)

    assert code == 1, output
    assert "Nothing ran there before, and nothing runs now." in output


# Cancelled, and at the same time


@on_each_platform
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_delivery_goes_back(running, target, number):
    platform = running(target)
    old, new = platform.commits[:2]

    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=platform.held)
    platform.wait_until_held()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1, output
    assert "The deployment to staging failed: it was cancelled. " in output
    assert f"The old release {old} runs again and is ready." in output
    assert platform.running("staging") == old


@on_each_platform
def test_a_second_delivery_waits_for_the_first(running, target):
    platform = running(target)
    first = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS=platform.held
    )
    platform.wait_until_held()
    second = platform.start("deploy", "staging", platform.commits[2])
    assert second.stdout.readline() == "Another delivery to staging runs: waiting.\n"
    before = platform.asked()
    platform.release_held()

    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert not any(platform.commits[2] in line for line in before)
    assert platform.running("staging") == platform.commits[2]


@on_each_platform
def test_a_delivery_cancelled_while_it_waits_touches_nothing(running, target):
    platform = running(target)
    first = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS=platform.held
    )
    platform.wait_until_held()
    second = platform.start("deploy", "staging", platform.commits[2])
    second.stdout.readline()
    second.send_signal(signal.SIGTERM)

    assert second.communicate(timeout=60)[0] == "Cancelled. Nothing was touched.\n"
    assert second.returncode == 1
    platform.release_held()
    assert first.wait(60) == 0
    first.communicate()


# By hand


@on_each_platform
def test_a_rollback_goes_to_what_ran_before_and_never_to_what_was_bad(running, target):
    platform = running(target)
    first, second, third = platform.commits
    platform.deliver("deploy", "staging", second)
    platform.deliver("deploy", "staging", third, STAND_IN_BROKEN=third)

    code, output = platform.deliver("rollback", "staging")

    assert code == 0, output
    assert f"staging went back to {first}: " in output
    assert "none is reversed" in output
    assert platform.running("staging") == first


def test_a_rollback_of_fly_never_goes_to_a_release_that_failed(running):
    platform = running("fly")
    first, failed, third = platform.commits
    platform.deliver("deploy", "staging", failed, STAND_IN_FAILS="migrate")
    platform.deliver("deploy", "staging", third)

    code, output = platform.deliver("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first


@on_each_platform
def test_a_rollback_needs_a_release_before(running, target):
    platform = running(target)

    code, output = platform.deliver("rollback", "staging")

    assert code == 2, output
    assert "staging has no release before the one that runs." in output
    assert not platform.asked()


@pytest.mark.parametrize(("target", "step"), NO_WAY_BACK)
def test_a_rollback_that_fails_says_so(running, target, step):
    platform = running(target)
    platform.deliver("deploy", "staging", platform.commits[1])

    code, output = platform.deliver("rollback", "staging", STAND_IN_FAILS=step)

    assert code == 3, output
    assert "The rollback of staging failed: " in output
    assert output.endswith(f"{UNCERTAIN}\n")


# Refused before anything is touched


@on_each_platform
@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_a_missing_secret_is_one_sentence(running, target, verb):
    platform = running(target)
    for name in platform.secrets:
        code, output = platform.deliver(verb, "staging", **{name: ""})

        assert code == 2
        assert output == (
            f"Set {name}, as docs/delivery.md says. Nothing was touched.\n"
        )
        assert not (platform.folder / "asked").exists()


@on_each_platform
def test_a_missing_command_line_is_one_sentence(running, target, tmp_path):
    platform = running(target)
    (tmp_path / "bin").mkdir()
    for name in ("git", "python3"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    code, output = platform.deliver("deploy", "staging", PATH=str(tmp_path / "bin"))

    assert code == 2
    sentence = f"Install {platform.tool}, or run `make tools`, then try again."
    assert output == f"{sentence} Nothing was touched.\n"


@on_each_platform
@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["deploy"], {}, "Say what and where: python3 deploy/deliver.py"),
        (["destroy", "staging"], {}, "Say what and where: python3 deploy/deliver.py"),
        (["deploy", "stagign"], {}, "ENVIRONMENT is one of staging, production, not"),
        (["deploy", "staging"], {"RELEASE": "v9"}, "RELEASE is a commit of this repo"),
        (["deploy", "staging"], {"SMOKE_SECONDS": "ten"}, "SMOKE_SECONDS is a number"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    running, target, arguments, variables, sentence
):
    platform = running(target)
    done = platform.project.run(
        "python3", "deploy/deliver.py", *arguments, **platform.variables | variables
    )

    assert done.returncode == 2
    assert done.stdout.startswith(sentence)
    assert done.stdout.count("\n") == 1
    assert not (platform.folder / "asked").exists()


@on_each_platform
def test_production_takes_only_what_staging_runs(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.deliver("deploy", "production", new)

    assert code == 2, output
    assert f"that is {old}, not {new}. Nothing was touched." in output
    assert not platform.asked()


def test_heroku_promotes_nothing_that_does_not_answer_yet(running):
    platform = running("heroku")
    first, second = platform.commits[:2]
    assert platform.deliver("deploy", "staging", second)[0] == 0
    platform.serve(platform.names["staging"], first)  # the old dynos, for a while

    code, output = platform.deliver("deploy", "production", first)

    assert code == 2, output
    assert f"has released {second[:8]} by now. Nothing was touched." in output


def test_heroku_wants_the_whole_history(running, tmp_path):
    platform = running("heroku")
    clone = tmp_path / "clone"
    source = f"file://{platform.project.path}"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", source, clone], check=True
    )
    platform.project = Project(clone)

    code, output = platform.deliver("deploy", "staging")

    assert code == 2, output
    assert "Fetch the whole history first: git fetch --unshallow." in output


def test_render_wants_its_services(begin):
    platform = begin("render")
    state = platform.state()
    del state["my-project-staging-worker"]
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", platform.commits[0])

    assert code == 2, output
    assert "Render has no service my-project-staging-worker: apply render" in output
    assert not platform.asked()


def test_render_runs_no_image_in_a_service_that_builds_commits(running):
    platform = running("render-image")
    state = platform.state()
    state["my-project-staging"]["source"] = {}
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "Render has no image-backed my-project-staging: apply render" in output
    assert not platform.asked()


@pytest.mark.parametrize("target", ["fly", "kubernetes", "render-image"])
def test_production_takes_only_the_very_image_that_staging_runs(running, target):
    platform = running(target)
    release = platform.commits[1]
    built_again = platform.image(platform.commits[2])
    platform.deliver("deploy", "staging", release)
    (platform.project / "reports/staging.json").unlink()  # as on another machine
    before = platform.asked()

    code, output = platform.deliver("deploy", "production", release, IMAGE=built_again)

    assert code == 2, output
    digest = built_again.partition("@")[2]
    assert "production takes the image that http://localhost:" in output
    assert f"runs, and that is not {digest}. Nothing was touched." in output
    assert platform.asked() == before


@on_each_platform_of_images
def test_a_target_of_images_wants_one_by_its_digest(running, target):
    platform = running(target)
    for image in ("", "registry.example.com/shop:latest"):
        code, output = platform.deliver(
            "deploy", "staging", platform.commits[1], IMAGE=image
        )

        assert code == 2, output
        assert "Set IMAGE to an image with its digest" in output
        assert not platform.asked()


def test_fly_wants_docker_for_a_new_image_and_not_for_the_way_back(running, tmp_path):
    platform = running("fly")
    platform.deliver("deploy", "staging", platform.commits[1])
    (tmp_path / "bin").mkdir()
    for name in ("git", "python3"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    (tmp_path / "bin" / "flyctl").symlink_to(STAND_INS / "flyctl")
    without = {"PATH": str(tmp_path / "bin")}

    code, output = platform.deliver("deploy", "staging", platform.commits[2], **without)
    assert code == 2
    assert output.endswith("Install docker, then try again. Nothing was touched.\n")
    code, output = platform.deliver("rollback", "staging", **without)
    assert code == 0, output


def test_what_was_published_is_delivered_and_nothing_else(running):
    platform = running("kubernetes")
    old, new, other = platform.commits
    platform.publish(new)

    code, output = platform.deliver("deploy", "staging", other, IMAGE="")
    assert code == 2, output
    assert f"Set IMAGE: reports/image.json is of {new}, not of {other}." in output
    assert not platform.asked()

    code, output = platform.deliver("deploy", "staging", new, IMAGE="")
    assert code == 0, output
    assert platform.running("staging") == new
    (platform.project / "reports/image.json").unlink()


@on_each_platform_of_images
def test_production_gets_what_staging_got_and_needs_no_key_of_staging(running, target):
    platform = running(target)
    release = platform.commits[1]
    platform.publish(release)

    for name in NAMES:
        key = platform.key(name)
        code, output = platform.deliver("deploy", name, release, IMAGE="", **key)
        assert code == 0, output
        assert platform.running(name) == release
        # What is published again in between is not what staging got.
        platform.publish(release, platform.image(platform.commits[2]))
    (platform.project / "reports/image.json").unlink()


@on_each_platform_of_images
def test_who_names_an_image_that_staging_did_not_get_is_refused(running, target):
    platform = running(target)
    release, other = platform.commits[1:]
    platform.deliver("deploy", "staging", release)

    again = platform.image(other)
    code, output = platform.deliver("deploy", "production", release, IMAGE=again)

    assert code == 2, output
    assert f"runs, and that is not {again.partition('@')[2]}." in output


def test_a_report_that_names_no_image_is_refused(running):
    platform = running("kubernetes")
    release = platform.commits[1]
    platform.publish(release)
    report = platform.project / "reports/image.json"
    for text in ("{}", "<html>"):
        report.write_text(text)
        code, output = platform.deliver("deploy", "staging", release)
        assert code == 2, output
        assert "reports/image.json names no image: delete it. Nothing" in output
    report.unlink()


def test_what_cannot_be_handed_on_is_delivered_all_the_same(running):
    platform = running("kubernetes")
    release = platform.commits[1]
    report = platform.project / "reports/staging.json"
    report.unlink(missing_ok=True)

    delivery = platform.start(
        "deploy", "staging", release, STAND_IN_HOLDS="worker-rollout"
    )
    platform.wait_until_held()
    report.mkdir()
    platform.release_held()
    output, _ = delivery.communicate(timeout=60)
    report.rmdir()

    assert delivery.returncode == 0, output
    assert "What comes after staging cannot take this release" in output


def test_a_delivery_that_fails_hands_on_nothing_old_either(running):
    platform = running("kubernetes")
    good, bad = platform.commits[1:]
    staged = platform.project / "reports/staging.json"
    platform.deliver("deploy", "staging", good)
    assert staged.exists()

    platform.deliver("deploy", "staging", bad, STAND_IN_BROKEN=bad)

    assert not staged.exists()


@on_each_platform_of_images
def test_production_gets_no_image_that_staging_has_not_handed_on(running, target):
    platform = running(target)
    old, new, other = platform.commits
    staged = platform.project / "reports/staging.json"
    staged.unlink(missing_ok=True)
    platform.deliver("deploy", "staging", other, STAND_IN_BROKEN=other)
    assert not staged.exists()

    platform.publish(old)
    code, output = platform.deliver("deploy", "production", old, IMAGE="")
    assert code == 2, output
    assert "Set IMAGE to an image with its digest" in output

    platform.deliver("deploy", "staging", new)
    platform.deliver("rollback", "staging")
    code, output = platform.deliver("deploy", "production", old, IMAGE="")
    assert code == 2, output
    assert f"Set IMAGE: reports/staging.json is of {new}, not of {old}." in output
    assert platform.running("production") == old
    (platform.project / "reports/image.json").unlink()


def test_a_rollback_never_goes_to_what_was_gone_back_from(running):
    platform = running("kubernetes")
    first, bad, last = platform.commits
    assert platform.deliver("deploy", "staging", bad, STAND_IN_BROKEN=bad)[0] == 1
    assert platform.deliver("deploy", "staging", last)[0] == 0

    code, output = platform.deliver("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first


def test_what_the_old_release_did_not_have_stops_on_the_way_back(running):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    state = platform.state()
    state["my-project-staging"]["deployments"]["worker"] = []
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 1, output
    scaled = "kubectl --namespace my-project-staging scale deployment/worker"
    assert f"{scaled} --replicas=0" in platform.asked()
    assert platform.serves("my-project-staging") == old


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_kubectl_is_told_what_runs_again(running, verb):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    broken = new if verb == "deploy" else ""
    platform.deliver("deploy", "staging", new, STAND_IN_BROKEN=broken)
    if verb == "rollback":
        platform.deliver("rollback", "staging")

    # Else the next release could not take away what only the old one had.
    assert platform.running("staging") == old
    assert platform.state()["my-project-staging"]["applied"] == platform.image(old)


# Who applied it was not kubectl, or it may not be told.
@pytest.mark.parametrize("step", ["annotation", "set-last-applied"])
def test_a_way_back_does_not_fail_because_kubectl_cannot_be_told(running, step):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    failing = {"STAND_IN_BROKEN": new, "STAND_IN_FAILS": step}

    code, output = platform.deliver("deploy", "staging", new, **failing)

    assert code == 1, output
    assert platform.running("staging") == old


def test_every_process_is_told_to_go_back_though_one_refuses(running):
    platform = running("kubernetes")
    new = platform.commits[1]
    broken = {"STAND_IN_BROKEN": new, "STAND_IN_FAILS": "undo"}

    assert platform.deliver("deploy", "staging", new, **broken)[0] == 3

    undone = [line for line in platform.asked() if " rollout undo " in line]
    assert [line.split()[5] for line in undone] == [
        "deployment/web",
        "deployment/worker",
    ]


def test_a_migration_that_an_earlier_try_began_goes_on(running):
    platform = running("kubernetes")
    new, state = platform.commits[1], platform.state()
    state["my-project-staging"]["jobs"][f"migrate-{new[:12]}"] = ""
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", new)

    assert code == 0, output
    assert "of an earlier try still runs: waiting for it." in output
    assert not [line for line in platform.asked() if " delete job " in line]


def test_a_migration_whose_job_is_gone_did_not_succeed(running):
    platform = running("kubernetes")
    old, new = platform.commits[:2]

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_FAILS="job")

    assert code == 1, output
    assert f"the migration failed: the Job migrate-{new[:12]} is gone." in output
    assert platform.running("staging") == old


@on_each_platform
def test_production_takes_no_release_that_is_not_well_on_staging(running, target):
    platform = running(target)
    new = platform.commits[1]
    platform.deliver("deploy", "staging", new)
    name = platform.names["staging"]
    site = platform.folder / f"sites/{name}.json"
    site.write_text(json.dumps({"status": 503, "release": new}))
    before = platform.asked()

    code, output = platform.deliver("deploy", "production", new)

    assert code == 2, output
    assert "production takes what is well: release" in output
    assert platform.asked() == before


def test_a_log_that_kubectl_may_not_read_fails_no_delivery(running):
    platform = running("kubernetes")
    new = platform.commits[1]

    code, output = platform.deliver("deploy", "staging", new, STAND_IN_FAILS="logs")

    assert code == 0, output
    assert "pods is forbidden" in output


def test_kubernetes_wants_the_secret_that_its_pods_read(running):
    platform = running("kubernetes")
    state = platform.state()
    state["my-project-staging"]["secrets"] = False
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "get secret app --output name` failed. Nothing was touched." in output
    assert not platform.asked()


def test_kubectl_gets_a_pipelines_secret_as_a_file_that_only_its_user_reads(
    running, tmp_path
):
    platform = running("kubernetes")
    (tmp_path / "files").mkdir()

    code, output = platform.deliver(
        "deploy",
        "staging",
        platform.commits[1],
        **platform.key("staging"),
        TMPDIR=str(tmp_path / "files"),
    )

    assert code == 0, output
    assert (platform.folder / "kubeconfig").read_text() == (
        "100600 very-secret: my-project-staging"
    )
    assert "very-secret" not in output
    assert not list((tmp_path / "files").iterdir())


def test_kubernetes_migrates_to_the_end_before_it_switches(running):
    platform = running("kubernetes")
    platform.deliver("deploy", "staging", platform.commits[1])

    words = [line.split()[3] for line in platform.asked()]
    assert words == ["delete", "apply", "logs", "apply", "rollout", "rollout"]
    assert "notin (web,worker)" in platform.asked()[1]


def test_kamal_wants_to_log_in_to_the_registry(running):
    platform = running("kamal")

    code, output = platform.deliver(
        "deploy", "staging", platform.commits[1], REGISTRY_PASSWORD=""
    )

    assert code == 2, output
    assert "Set REGISTRY_PASSWORD, as docs/delivery.md says. Nothing was" in output
    assert not platform.asked()


def test_kamal_wants_the_file_that_its_containers_read(running):
    platform = running("kamal")
    state = platform.state()
    state["my-project-staging"]["settings"] = False
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "'test -s my-project-staging.env' --config" in output
    assert not platform.asked()


def test_kamal_goes_back_without_the_registry(running):
    platform = running("kamal")
    platform.deliver("deploy", "staging", platform.commits[1])

    code, output = platform.deliver(
        "rollback", "staging", IMAGE="", REGISTRY_USER="", REGISTRY_PASSWORD=""
    )

    assert code == 0, output
    assert platform.running("staging") == platform.commits[0]


def test_kamal_pulls_by_digest_and_migrates_before_it_switches(running):
    platform = running("kamal")
    new = platform.commits[1]
    platform.deliver("deploy", "staging", new)

    words = [line.split()[1:3] for line in platform.asked()]
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
    assert pulled in platform.asked()[2]
    assert "--primary --roles=web" in platform.asked()[3]


def test_kamal_does_nothing_while_somebody_else_holds_its_lock(running):
    platform = running("kamal")
    state = platform.state()
    state["my-project-staging"]["locked"] = True
    platform.save(state)

    code, output = platform.deliver("deploy", "staging", platform.commits[1])

    assert code == 1, output
    assert "another delivery holds the lock" in output
    assert not platform.asked()
    assert platform.state() == state


@pytest.mark.parametrize("held", ["migrate", "web"])
def test_kamal_leaves_no_lock_and_no_container_when_it_is_cancelled(running, held):
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
    assert runs == 2 * [server["latest"]]


def test_kamal_does_not_restart_what_still_runs_alone(running):
    platform = running("kamal")
    process = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS="migrate"
    )
    platform.wait_until_held()
    process.terminate()
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1, output
    assert not [line for line in platform.asked() if line.startswith("kamal app boot")]


def test_kamal_never_goes_back_to_what_did_not_become_ready(running):
    platform = running("kamal")
    first, second, third = platform.commits
    platform.deliver("deploy", "staging", second, STAND_IN_FAILS="web")
    platform.deliver("deploy", "staging", third)

    code, output = platform.deliver("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first


# Secrets


@on_each_platform
def test_no_secret_is_printed_or_stands_in_a_command(running, target):
    platform = running(target)
    _, good = platform.deliver("deploy", "staging", platform.commits[1])
    _, bad = platform.deliver(
        "deploy", "staging", platform.commits[2], STAND_IN_BROKEN=platform.commits[2]
    )
    asked = (platform.folder / "asked").read_text()

    for secret in platform.secrets.values():
        assert secret not in good + bad + asked


def test_git_gets_the_key_of_heroku_from_the_environment(project):
    project = project("heroku")
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
