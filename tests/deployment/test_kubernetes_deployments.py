"""Deployments to Kubernetes: a Job migrates, and Deployments switch to the image."""

import pytest

pytestmark = pytest.mark.slow


def test_rollback_skips_rolled_back_releases(running):
    platform = running("kubernetes")
    first, bad, last = platform.commits
    assert platform.run("deploy", "staging", bad, STAND_IN_BROKEN=bad)[0] == 1
    assert platform.run("deploy", "staging", last)[0] == 0

    code, output = platform.run("rollback", "staging")

    assert code == 0, output
    assert platform.running("staging") == first


def test_rollback_can_be_repeated_after_it_failed(running):
    platform = running("kubernetes")
    middle, last = platform.commits[1:]
    platform.run("deploy", "staging", middle)
    platform.run("deploy", "staging", last)
    failing = {"STAND_IN_FAILS": "back-web-rollout"}
    code, output = platform.run("rollback", "staging", last, **failing)
    assert code == 3, output
    assert f"Release {last} answers." in output

    code, output = platform.run("rollback", "staging", last)

    assert code == 0, output
    assert platform.running("staging") == middle


def test_rollback_stops_processes_new_in_the_release(running):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    state = platform.state()
    state["my-project-staging"]["deployments"]["worker"] = []
    platform.save(state)

    code, output = platform.run("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 1, output
    scaled = "kubectl --namespace my-project-staging scale deployment/worker"
    assert f"{scaled} --replicas=0" in platform.calls()
    assert platform.serves("my-project-staging") == old


def test_deployment_keeps_the_number_of_replicas(running):
    platform = running("kubernetes")
    state = platform.state()
    state["my-project-staging"]["replicas"] = {"web": 10, "worker": 0, "beat": 1}
    platform.save(state)

    for release in platform.commits[1:]:
        assert platform.run("deploy", "staging", release)[0] == 0

    # A rollback has stopped the worker, so it gets the number of its manifest.
    replicas = platform.state()["my-project-staging"]["replicas"]
    assert replicas == {"web": 10, "worker": 1, "beat": 1}


def test_deployment_ignores_an_object_without_manifest(running):
    platform = running("kubernetes")
    state = platform.state()
    space = state["my-project-staging"]
    space["deployments"]["extra-web"] = [[1, platform.image(platform.commits[0]), 1]]
    space["replicas"]["extra-web"] = 2
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 0, output


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_rollback_updates_the_last_applied_configuration(running, verb):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    broken = new if verb == "deploy" else ""
    platform.run("deploy", "staging", new, STAND_IN_BROKEN=broken)
    if verb == "rollback":
        platform.run("rollback", "staging", new)

    # Otherwise the next release could not remove objects that only the previous one has.
    assert platform.running("staging") == old
    assert platform.state()["my-project-staging"]["applied"] == platform.image(old)


# Something else than kubectl applied it, or kubectl has no permission to write it.
@pytest.mark.parametrize("step", ["annotation", "set-last-applied"])
def test_rollback_works_without_the_last_applied_configuration(running, step):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    failing = {"STAND_IN_BROKEN": new, "STAND_IN_FAILS": step}

    code, output = platform.run("deploy", "staging", new, **failing)

    assert code == 1, output
    assert platform.running("staging") == old


def test_failed_rollback_of_one_process_continues_with_others(running):
    platform = running("kubernetes")
    new = platform.commits[1]
    broken = {"STAND_IN_BROKEN": new, "STAND_IN_FAILS": "undo"}

    assert platform.run("deploy", "staging", new, **broken)[0] == 3

    undone = [line for line in platform.calls() if " rollout undo " in line]
    assert [line.split()[5] for line in undone] == [
        "deployment/web",
        "deployment/worker",
        "deployment/beat",
    ]


def test_running_migration_of_an_earlier_attempt_continues(running):
    platform = running("kubernetes")
    new, state = platform.commits[1], platform.state()
    state["my-project-staging"]["jobs"][f"migrate-{new[:12]}"] = ""
    platform.save(state)

    code, output = platform.run("deploy", "staging", new)

    assert code == 0, output
    assert "of an earlier attempt, which still runs." in output
    assert not [line for line in platform.calls() if " delete job " in line]


def test_migration_with_a_deleted_job_fails(running):
    platform = running("kubernetes")
    old, new = platform.commits[:2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="job")

    assert code == 1, output
    assert f"the migration failed: the Job migrate-{new[:12]} was deleted." in output
    assert platform.running("staging") == old


def test_deadline_of_the_job_is_reported_as_a_limit(running):
    platform = running("kubernetes")
    old, new = platform.commits[:2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="deadline")

    assert code == 1, output
    assert f"the Job migrate-{new[:12]} did not finish before its deadline." in output
    assert "This is a time limit: what it started may go on there" in output
    assert platform.running("staging") == old


def test_forbidden_log_does_not_fail_the_deployment(running):
    platform = running("kubernetes")
    new = platform.commits[1]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="logs")

    assert code == 0, output
    assert "pods is forbidden" in output


def test_missing_secret_of_the_pods_is_refused(running):
    platform = running("kubernetes")
    state = platform.state()
    state["my-project-staging"]["secrets"] = False
    platform.save(state)

    code, output = platform.run("deploy", "staging", platform.commits[1])

    assert code == 2, output
    assert "get secret app --output name` failed. Nothing was changed." in output
    assert not platform.calls()


def test_kubeconfig_is_a_private_file(running, tmp_path):
    platform = running("kubernetes")
    (tmp_path / "files").mkdir()

    code, output = platform.run(
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


def test_migration_ends_before_the_switch(running):
    platform = running("kubernetes")
    platform.run("deploy", "staging", platform.commits[1])

    words = [line.split()[3] for line in platform.calls()]
    assert words == ["delete", "apply", "logs", "apply", *3 * ["rollout"]]
    assert "notin (web,worker,beat)" in platform.calls()[1]
