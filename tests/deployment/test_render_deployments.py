"""Deployments to Render: each service builds the commit, or runs the image."""

import pytest

pytestmark = pytest.mark.slow


def test_each_service_builds_the_same_commit(running):
    platform = running("render")
    platform.run("deploy", "staging", platform.commits[1])

    options = f"--commit {platform.commits[1]} --wait --confirm --output json"
    assert platform.calls() == [
        f"render deploys create srv-my-project-staging {options}",
        f"render deploys create srv-my-project-staging-worker {options}",
        f"render deploys create srv-my-project-staging-beat {options}",
    ]


def test_each_service_runs_the_same_image(running):
    platform = running("render-image")
    old, new = map(platform.image, platform.commits[:2])
    for name in platform.names:
        platform.run("deploy", name, platform.commits[1])
    platform.run("rollback", "production", platform.commits[1])

    calls = [line.split() for line in platform.calls()]
    assert {(*line[:3], *line[6:]) for line in calls} == {
        ("render", "deploys", "create", "--wait", "--confirm", "--output", "json")
    }
    assert [line[3:6] for line in calls] == [
        ["srv-my-project-staging", "--image", new],
        ["srv-my-project-staging-worker", "--image", new],
        ["srv-my-project-staging-beat", "--image", new],
        ["srv-my-project-production", "--image", new],
        ["srv-my-project-production-worker", "--image", new],
        ["srv-my-project-production-beat", "--image", new],
        ["srv-my-project-production", "--image", old],
        ["srv-my-project-production-worker", "--image", old],
        ["srv-my-project-production-beat", "--image", old],
    ]


def test_missing_service_is_refused(created):
    platform = created("render")
    state = platform.state()
    del state["my-project-staging-worker"]
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[0])

    assert code == 2, output
    assert (
        "Render has no commit-backed service my-project-staging-worker: apply render"
        in output
    )
    assert not platform.calls()


def test_image_for_a_service_that_builds_commits_is_refused(running):
    platform = running("render-image")
    state = platform.state()
    state["my-project-staging"]["source"] = {}
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert (
        "Render has no image-backed service my-project-staging: apply render" in output
    )
    assert not platform.calls()
