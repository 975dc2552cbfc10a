"""A deployment succeeds or is rolled back, whichever step fails, on every platform."""

import fcntl
import itertools
import json
import re
import signal
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.deployment.platforms import PLATFORMS
from tests.support.machine import link_programs
from tests.support.options import TEMPLATE
from tests.support.project import Project, clean_environment

pytestmark = pytest.mark.slow
NAMES = ("staging", "production")
UNCERTAIN = 'It is not certain which release runs: follow "Roll back by hand" in docs/deployment.md.'
on_each_platform = pytest.mark.parametrize("target", PLATFORMS)


def at_each_step(attribute):
    """Run a test for each target at the steps that its platform lists."""
    steps = [
        (target, step)
        for target, platform in PLATFORMS.items()
        for step in getattr(platform, attribute)
    ]
    return pytest.mark.parametrize(("target", "step"), steps)


@on_each_platform
def test_release_is_deployed_to_staging_then_production(created, target):
    platform = created(target)
    for release in platform.commits[:2]:
        for name in NAMES:
            code, output = platform.run("deploy", name, release)
            assert code == 0, output
            assert f"{name} runs {release}: http" in output
            assert platform.running(name) == release


@on_each_platform
def test_make_deploys_head_without_setup(running, target):
    platform = running(target)
    variables = platform.variables
    url = f"http://localhost:{platform.sites.server_port}/my-project-staging"

    platform.project.make_ok("deploy", "ENVIRONMENT=staging", **variables)
    smoke = platform.project.make("smoke", f"URL={url}", "RELEASE=HEAD", **variables)
    variables |= {"RELEASE": "HEAD~1", "SMOKE_SECONDS": "1"}
    other = platform.project.make("smoke", f"URL={url}", **variables)
    del variables["RELEASE"]
    platform.project.make_ok("rollback", "ENVIRONMENT=staging", **variables)

    old, new = platform.commits[1:3]
    assert smoke.stdout == f"{url} is ready and runs release {new}.\n"
    assert f"it runs release {new}, not {old}" in other.stdout
    assert other.returncode == 2
    assert not (platform.project / ".venv").exists()


def test_make_deploys_a_hotfix_and_rolls_it_back(running):
    platform = running("fly")
    old, new = platform.commits[0], platform.project.head()
    release = ("ENVIRONMENT=production", f"RELEASE={new}")

    deploy = ("deploy", *release, "SKIP_STAGING=yes")
    platform.project.make_ok(*deploy, **platform.variables)
    assert platform.running("production") == new
    platform.project.make_ok("rollback", *release, **platform.variables)
    assert platform.running("production") == old


@on_each_platform
def test_same_release_can_be_deployed_again(running, target):
    platform = running(target)
    code, output = platform.run("deploy", "staging", platform.commits[0])

    assert code == 0, output
    assert platform.calls()


@on_each_platform
def test_older_commit_is_deployed_only_on_request(running, target):
    platform = running(target)
    old, new = platform.commits[:2]
    platform.run("deploy", "staging", new)
    before = platform.calls()

    code, output = platform.run("deploy", "staging", old)

    assert code == 2, output
    assert f"deploy {old} to staging: it is older than {new}, which runs" in output
    assert "To roll staging back, run `make rollback`. To deploy the older" in output
    assert platform.calls() == before

    code, output = platform.run("deploy", "staging", old, ALLOW_OLDER="yes")

    assert code == 0, output
    assert platform.running("staging") == old


@pytest.mark.parametrize(
    ("target", "name", "step", "words"),
    [
        (target, *row)
        for target, platform in PLATFORMS.items()
        for row in platform.fails_before_switch
    ],
)
def test_failure_before_the_switch_keeps_the_previous_release(
    running, target, name, step, words
):
    platform = running(target)
    old, new = platform.commits[:2]
    if name == "production":
        platform.run("deploy", "staging", new)

    code, output = platform.run("deploy", name, new, STAND_IN_FAILS=step)

    assert code == 1, output
    assert re.search(f"The deployment to {name} failed: .*{words}", output), output
    assert f"The previous release {old} still runs and is ready: no roll" in output
    assert platform.running(name) == old
    assert "rollback" not in platform.calls()[-1]


@on_each_platform
@pytest.mark.parametrize("name", NAMES)
def test_unready_release_is_rolled_back(running, target, name):
    platform = running(target)
    old, new = platform.commits[:2]
    if name == "production":
        platform.run("deploy", "staging", new)

    code, output = platform.run("deploy", name, new, STAND_IN_BROKEN=new)

    assert code == 1, output
    assert f"release {new} is not ready: database" in output
    assert f"The previous release {old} runs again and is ready." in output
    assert "a rollback reverses none" in output
    assert platform.running(name) == old


@on_each_platform
def test_release_whose_pages_are_broken_is_rolled_back(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    # The previous release may not have the page that the new one adds.
    broken = {"pages": [500]}
    answers = {"STAND_IN_ANSWERS": json.dumps({old: broken, new: broken})}
    code, output = platform.run("deploy", "staging", new, **answers)

    assert code == 1, output
    assert f"1 s: release {new} runs, but /admin/login/ responds with 500" in output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("staging") == old


@on_each_platform
def test_release_that_breaks_under_watch_is_rolled_back(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    # The smoke test requests the page three times.
    pages = {"STAND_IN_ANSWERS": json.dumps({new: {"pages": [200, 200, 200, 500]}})}
    code, output = platform.run("deploy", "staging", new, WATCH_SECONDS="30", **pages)

    assert code == 1, output
    assert "; the last bad one: /admin/login/ responds with 500." in output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("staging") == old


@on_each_platform
def test_release_whose_worker_crashes_is_rolled_back(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_CRASHES=new)

    assert code == 1, output
    assert "The deployment to staging failed: a process crashed: " in output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("staging") == old


@at_each_step("fails_during_switch")
def test_failure_during_the_switch_is_rolled_back(running, target, step):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS=step)

    assert code == 1, output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("staging") == old
    assert "in_progress" not in (platform.folder / "state.json").read_text()


@at_each_step("fails_during_rollback")
def test_failed_automatic_rollback_is_reported(running, target, step):
    platform = running(target)
    new = platform.commits[1]

    code, output = platform.run(
        "deploy", "staging", new, STAND_IN_BROKEN=new, STAND_IN_FAILS=step
    )

    assert code == 3, output
    assert "The rollback failed as well: " in output
    assert output.endswith(f"{UNCERTAIN}\n")


@on_each_platform
def test_unready_previous_release_is_reported(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.run(
        "deploy", "staging", new, STAND_IN_BROKEN=f"{old} {new}"
    )

    assert code == 3, output
    assert re.search(f"The rollback failed as well: .* {old} is not ready", output)
    assert output.endswith(f"{UNCERTAIN}\n")


@on_each_platform
def test_unready_first_release_cannot_be_rolled_back(created, target):
    platform = created(target)
    new = platform.commits[0]

    code, output = platform.run("deploy", "staging", new, STAND_IN_BROKEN=new)

    assert code == 3, output
    assert "There is no earlier release to roll back to" in output


@at_each_step("fails_at_first")
def test_first_release_that_does_not_start_leaves_nothing(created, target, step):
    platform = created(target)
    release = platform.commits[0]

    code, output = platform.run("deploy", "staging", release, STAND_IN_FAILS=step)

    assert code == 1, output
    assert "This was the first deployment; nothing is running." in output


@on_each_platform
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_deployment_is_rolled_back(running, target, number):
    platform = running(target)
    old, new = platform.commits[:2]

    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=platform.held)
    platform.wait_until_held()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1, output
    assert "The deployment to staging failed: it was cancelled. " in output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("staging") == old


CANCEL_AT_START = """
import signal, subprocess
import commands

class Popen(subprocess.Popen):
    def __init__(self, *arguments, **others):
        super().__init__(*arguments, **others)
        started.append(self)
        signal.raise_signal(signal.SIGTERM)

started, subprocess.Popen = [], Popen
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    commands.run("sleep", "9")
except KeyboardInterrupt:
    print(started[0].poll())
"""


def test_cancelled_command_is_stopped_when_it_has_just_started(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CANCEL_AT_START],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(TEMPLATE / "template/deploy")),
        capture_output=True,
        text=True,
    )

    assert done.stdout == f"$ sleep 9\n-{signal.SIGTERM}\n", done.stderr


@on_each_platform
def test_time_limit_of_a_migration_is_reported_as_a_limit(running, target):
    platform = running(target)
    old, new = platform.commits[:2]
    limits = [("deploy/commands.py", "\nTIMEOUT = 3600", "\nTIMEOUT = 4")]
    if target == "kubernetes":
        limits += [("deploy/kubernetes.py", "TION_TIMEOUT = 3700", "TION_TIMEOUT = 4")]
    if target == "fly":
        limits += [("deploy/fly.py", "OY_TIMEOUT = 5400", "OY_TIMEOUT = 4")]
    for limit in limits:
        platform.project.edit(*limit)

    try:
        code, output = platform.run("deploy", "staging", new, **platform.stuck)
    finally:
        for name, long, short in limits:
            platform.project.edit(name, short, long)

    assert code == 1, output
    assert "did not finish within 4 s. This is a time limit: what it started" in output
    assert "so check that before you deploy again" in output
    assert "migration failed" not in output
    assert "which migrates, failed" not in output
    assert platform.running("staging") == old


@pytest.mark.parametrize(
    ("target", "number"),
    # Ctrl-C reaches both sides of `make deploy | tee log`, so tee ends.
    [*((target, signal.SIGHUP) for target in PLATFORMS), ("fly", signal.SIGINT)],
)
def test_closed_terminal_or_pipe_rolls_the_deployment_back(running, target, number):
    platform = running(target)
    old, new = platform.commits[:2]
    log = platform.project / ".cache/deploy.log"
    log.unlink(missing_ok=True)

    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=platform.held)
    platform.wait_until_held()
    process.stdout.close()  # like a terminal, which takes no more output
    process.send_signal(number)

    assert process.wait(60) == 1
    assert platform.project.read("reports/exit-code") == "1\n"
    assert f"The previous release {old} runs again and is ready." in log.read_text()
    assert platform.running("staging") == old


def test_closed_pipe_is_replaced_by_a_new_log(project_for, tmp_path):
    deploy = str(project_for("kubernetes") / "deploy")
    script = "import os, run, sys; read, write = os.pipe(); os.close(read); "
    script += "[os.dup2(write, output) for output in (1, 2)]; "
    script += "run.report('reported'); print('printed')"
    command = ["python3", "-c", script]
    environment = clean_environment(PYTHONPATH=deploy)

    subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    assert (tmp_path / ".cache/deploy.log").read_text() == "reported\nprinted\n"


def test_deployment_under_nohup_continues(running):
    platform = running("kubernetes")
    new = platform.commits[1]
    default = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # The process inherits it.
    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=platform.held)
    signal.signal(signal.SIGHUP, default)
    platform.wait_until_held()
    process.send_signal(signal.SIGHUP)
    platform.release_held()

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert platform.running("staging") == new


@on_each_platform
def test_second_deployment_waits_for_the_first(running, target):
    platform = running(target)
    first = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS=platform.held
    )
    platform.wait_until_held()
    second = platform.start("deploy", "staging", platform.commits[2])
    assert second.stdout.readline() == "Waiting for another deployment to staging.\n"
    before = platform.calls()
    platform.release_held()

    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert not any(platform.commits[2] in line for line in before)
    assert platform.running("staging") == platform.commits[2]


@on_each_platform
def test_deployment_cancelled_while_waiting_changes_nothing(running, target):
    platform = running(target)
    first = platform.start(
        "deploy", "staging", platform.commits[1], STAND_IN_HOLDS=platform.held
    )
    platform.wait_until_held()
    second = platform.start("deploy", "staging", platform.commits[2])
    second.stdout.readline()
    second.send_signal(signal.SIGTERM)

    assert second.communicate(timeout=60)[0] == "Cancelled. Nothing was changed.\n"
    assert second.returncode == 1
    platform.release_held()
    assert first.wait(60) == 0
    first.communicate()


@pytest.mark.parametrize(
    ("target", "step"), [("fly", "back-worker"), ("render", "worker-back:build_failed")]
)
def test_rollback_that_failed_halfway_names_the_way_out(running, target, step):
    platform = running(target)
    _, old, new = platform.commits
    platform.run("deploy", "staging", old)
    platform.run("deploy", "staging", new)
    site = platform.names["staging"]

    code, output = platform.run("rollback", "staging", new, STAND_IN_FAILS=step)

    assert code == 3, output
    assert (platform.serves(site), platform.serves(f"{site}-worker")) == (old, new)

    code, output = platform.run("rollback", "staging", new)

    assert code == 2, output
    assert f"If a rollback failed before, deploy {old} again. Only if" in output

    code, output = platform.run("deploy", "staging", old)

    assert code == 0, output
    assert platform.running("staging") == old


@on_each_platform
def test_rollback_skips_unready_releases(running, target):
    platform = running(target)
    first, second, third = platform.commits
    platform.run("deploy", "staging", second)
    platform.run("deploy", "staging", third, STAND_IN_BROKEN=third)

    code, output = platform.run("rollback", "staging", second)

    assert code == 0, output
    announced, _, rest = output.partition(f"Rolling back staging from {second} to ")
    previous = rest.partition(".\n")[0]
    assert re.search(f"{first}|v2 slug-", previous), output
    commands = re.findall(r"^\$ (.*)", announced, re.MULTILINE)
    reads = (*platform.reads, "kamal server exec")
    assert all(command.startswith(reads) for command in commands), output
    assert f"staging was rolled back to {first}: " in rest
    assert "a rollback reverses none" in rest
    assert platform.running("staging") == first


def test_rollback_to_an_unready_release_is_reported(created):
    platform = created("kubernetes")
    first, second = platform.commits[:2]
    assert platform.run("deploy", "staging", first, STAND_IN_BROKEN=first)[0] == 3
    assert platform.run("deploy", "staging", second)[0] == 0

    code, output = platform.run("rollback", "staging", second, STAND_IN_BROKEN=first)

    assert code == 3, output
    assert f"release {first} is not ready: database" in output
    assert output.endswith(f"Release {first} answers.\n{UNCERTAIN}\n")


@on_each_platform
def test_second_rollback_changes_nothing(running, target):
    platform = running(target)
    second, third = platform.commits[1:]
    platform.run("deploy", "staging", second)
    platform.run("deploy", "staging", third)  # the checked-out commit
    assert platform.run("rollback", "staging")[0] == 0
    before = platform.calls()

    for named in ("", third[:7]):
        code, output = platform.run("rollback", "staging", named)

        assert code == 2, output
        assert f"staging runs {second}, not {third}, so there is nothing to" in output
        assert f"if {second} is bad, too, set RELEASE={second}. Nothing" in output
    assert platform.calls() == before
    assert platform.running("staging") == second


@on_each_platform
def test_rollback_keeps_the_release_before_a_failed_deployment(running, target):
    platform = running(target)
    second, third = platform.commits[1:]
    _, step, _ = platform.fails_before_switch[0]
    platform.run("deploy", "staging", second)
    assert platform.run("deploy", "staging", third, STAND_IN_FAILS=step)[0] == 1

    code, output = platform.run("rollback", "staging")

    assert code == 2, output
    assert f"staging runs {second}, not {third}, so there is nothing to" in output
    assert platform.running("staging") == second


def test_release_that_does_not_answer_is_rolled_back_on_request(running):
    platform = running("kubernetes")
    first, second = platform.commits[:2]
    platform.run("deploy", "staging", second)
    name = platform.names["staging"]
    (platform.folder / f"sites/{name}.json").write_text('{"status": 502}')

    code, output = platform.run("rollback", "staging", second)
    assert code == 2, output
    assert f"staging does not answer, so {second} may not run there. " in output
    assert "set RELEASE=none. Nothing was changed." in output

    code, output = platform.run("rollback", "staging", "none")
    assert code == 0, output
    assert platform.running("staging") == first


def test_running_commit_that_the_clone_lacks_is_reported(running, tmp_path):
    platform = running("kubernetes")
    first, _, newest = platform.commits
    platform.project = clone_newest(platform.project, tmp_path / "clone")

    code, output = platform.run("deploy", "staging", newest)

    assert code == 0, output
    assert f"This clone does not have {first}, which may be newer." in output


def test_hotfix_that_a_release_does_not_include_is_reported(running, tmp_path):
    platform = running("kubernetes")
    first, _, newest = platform.commits
    clone = Project(tmp_path / "clone")
    platform.project.run_ok("git", "clone", "--quiet", ".", clone.path)
    clone.run_ok("git", "checkout", "--quiet", first)
    (hotfix,) = clone.commit_each(["hotfix"])
    platform.project = clone
    platform.serve(platform.names["staging"], hotfix)

    code, output = platform.run("deploy", "staging", newest)

    assert code == 0, output
    assert f"{newest} does not include {hotfix}, which runs on staging, such" in output

    platform.serve(platform.names["staging"], first)
    code, output = platform.run("deploy", "staging", newest)

    assert code == 0, output
    assert "does not include" not in output


def clone_newest(project, folder):
    """Return a clone of a project that has only its newest commit."""
    command = ["git", "clone", "--quiet", "--depth", "1", f"file://{project.path}"]
    subprocess.run([*command, folder], check=True)
    return Project(folder)


def test_rollback_needs_no_commit_in_the_clone(running, tmp_path):
    platform = running("kubernetes")
    first, second = platform.commits[:2]
    platform.run("deploy", "staging", second)
    platform.project = clone_newest(platform.project, tmp_path / "clone")

    code, output = platform.run("rollback", "staging", second[:12])

    assert code == 0, output
    assert platform.running("staging") == first


@on_each_platform
def test_rollback_needs_an_earlier_release(running, target):
    platform = running(target)

    code, output = platform.run("rollback", "staging")

    assert code == 2, output
    assert "staging has no earlier release to roll back to." in output
    assert not platform.calls()


@at_each_step("fails_during_rollback")
def test_failed_rollback_is_reported(running, target, step):
    platform = running(target)
    new = platform.commits[1]
    platform.run("deploy", "staging", new)

    code, output = platform.run("rollback", "staging", new, STAND_IN_FAILS=step)

    assert code == 3, output
    assert "The rollback of staging failed: " in output
    assert output.endswith(f"{UNCERTAIN}\n")


@pytest.mark.parametrize(
    ("verb", "step"), [("deploy", "migrate"), ("rollback", "undo")]
)
def test_cancelled_report_of_a_failure_goes_on(running, verb, step):
    platform = running("kubernetes")
    old, new = platform.commits[:2]
    if verb == "rollback":
        platform.run("deploy", "staging", new)
    runs, code = (old, 1) if verb == "deploy" else (new, 3)
    platform.serve(platform.names["staging"], runs, delay=0.5)

    process = platform.start(
        verb, "staging", new, STAND_IN_FAILS=step, SMOKE_SECONDS="9"
    )
    printed = iter(process.stdout.readline, "")
    assert any(" staging failed: " in line for line in printed)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == code, output
    assert "Nothing was changed." not in output
    assert f"elease {runs} " in output


def test_exit_code_and_outcome_reach_the_pipeline(running, tmp_path):
    platform = running("kubernetes")
    good, bad = platform.commits[1:]
    text = platform.project.read("docs/pipeline.md")
    (page,) = re.findall(r"`(\[ .*\|\|) curl", text)
    broken = {"STAND_IN_BROKEN": bad}
    for code, release, variables in (
        (0, good, {}),
        (1, bad, broken),
        (2, bad, {"SMOKE_SECONDS": "ten"}),
        (3, bad, broken | {"STAND_IN_FAILS": "undo"}),
    ):
        summary = tmp_path / f"summary-{code}"
        variables = variables | {
            "ERROR_FORMAT": "::error title={title}::{text}",
            "SUMMARY_VARIABLE": "OF_THE_RUN",
            "OF_THE_RUN": str(summary),
        }
        found, output = platform.run("deploy", "staging", release, **variables)
        paged = platform.project.run("bash", "-c", f"{page} echo page")

        assert found == code, output
        assert platform.project.read("reports/exit-code") == f"{code}\n"
        assert paged.stdout == ("page\n" if code == 3 else "")
        errors = re.findall("^::error title=(.*)::(.*)$", output, re.MULTILINE)
        assert (len(errors), summary.exists()) == ((1, True) if code else (0, False))
        (test,) = ElementTree.parse(
            platform.project / "reports/deployment.xml"
        ).getroot()
        assert test.get("name") == "deploy staging"
        failures = [(it.get("message"), it.text) for it in test]
        assert len(failures) == len(errors)
        if code:
            ((title, message),) = errors
            lines = message.split("%0A")
            assert title == f"deploy staging (exit code {code})"
            assert all(f"{line}\n" in output for line in lines)
            reported = "\n".join(lines)
            wanted = (
                f"### deploy staging: exit code {code}\n\n```text\n{reported}\n```\n"
            )
            assert summary.read_text() == wanted
            assert failures == [(f"exit code {code}", reported)]
    assert lines[-2:] == [f"Release {bad} answers.", UNCERTAIN]


@pytest.mark.parametrize(
    ("verb", "held"), [("deploy", "web"), ("rollback", "back-web")]
)
def test_killed_change_leaves_the_code_for_uncertain(running, verb, held):
    platform = running("fly")
    old, new = platform.commits[:2]
    platform.run("deploy", "staging", new)

    process = platform.start(verb, "staging", new, STAND_IN_HOLDS=held)
    platform.wait_until_held()
    process.kill()
    platform.release_held()
    process.communicate(timeout=60)

    assert platform.project.read("reports/exit-code") == "3\n"


def test_deployment_deletes_the_code_of_the_previous_one(running):
    platform = running("fly")
    code = platform.project / "reports/exit-code"
    code.parent.mkdir(exist_ok=True)
    (platform.project / ".cache").mkdir(exist_ok=True)
    code.write_text("3\n")

    with (platform.project / ".cache/deploy-staging.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = platform.start("deploy", "staging", platform.commits[1])
        assert process.stdout.readline().startswith("Waiting for another deployment")
        process.kill()
        process.communicate(timeout=60)

    assert not code.exists()


def test_unwritable_summary_keeps_the_exit_code(running, tmp_path):
    platform = running("kubernetes")
    summary = {"SUMMARY_VARIABLE": "OF_THE_RUN", "OF_THE_RUN": str(tmp_path)}

    code, output = platform.run("deploy", "nowhere", **summary)

    assert code == 2, output


@on_each_platform
@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_missing_secret_prints_one_line(running, target, verb):
    platform = running(target)
    for name in platform.secrets:
        code, output = platform.run(verb, "staging", **{name: ""})

        assert code == 2
        assert output == f"Set {name}: see docs/deployment.md. Nothing was changed.\n"
        assert not (platform.folder / "calls").exists()


@on_each_platform
def test_missing_command_line_prints_one_line(running, target, tmp_path):
    platform = running(target)
    path = link_programs(tmp_path / "bin", ["git", "python3"])

    code, output = platform.run("deploy", "staging", PATH=str(path))

    assert code == 2
    sentence = f"Install {platform.tool}, or run `make tools`, then try again."
    assert output == f"{sentence} Nothing was changed.\n"


def test_unwritable_cache_prints_one_line(running):
    platform = running("kubernetes")
    cache, kept = platform.project / ".cache", platform.project / ".cache-kept"
    cache.mkdir(exist_ok=True)
    cache.rename(kept)
    cache.touch()

    code, output = platform.run("deploy", "staging", platform.commits[1])
    cache.unlink()
    kept.rename(cache)

    assert code == 2, output
    assert output.startswith("Make the folder .cache writable: ")
    assert output.endswith(". Nothing was changed.\n")
    assert output.count("\n") == 1


@on_each_platform
@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["deploy"], {}, "Usage: make deploy|rollback ENVIRONMENT=staging"),
        (["rollback", ""], {}, "Usage: make deploy|rollback ENVIRONMENT=staging"),
        (["destroy", "staging"], {}, "Usage: make deploy|rollback "),
        (["deploy", "stagign"], {}, "Set ENVIRONMENT to staging or production, not"),
        (
            ["deploy", "staging"],
            {"RELEASE": "v9"},
            "Set RELEASE to a commit of this repo",
        ),
        (
            ["deploy", "staging"],
            {"SMOKE_SECONDS": "ten"},
            "Set SMOKE_SECONDS to a number",
        ),
    ],
)
def test_invalid_arguments_print_one_line(
    running, target, arguments, variables, sentence
):
    platform = running(target)
    done = platform.project.run(
        "python3", "deploy/run.py", *arguments, **platform.variables | variables
    )

    assert done.returncode == 2
    assert done.stdout.startswith(sentence)
    assert done.stdout.count("\n") == 1
    assert not (platform.folder / "calls").exists()


def test_environments_that_are_not_toml_print_one_line(running):
    platform = running("kubernetes")
    environments = platform.project / "deploy/environments.toml"
    before = environments.read_text()
    environments.write_text("target")
    code, output = platform.run("deploy", "staging")
    environments.write_text(before)  # Other tests share the project.

    assert code == 2
    assert output.startswith("Correct deploy/environments.toml: Expected '=' after")
    assert output.endswith(". Nothing was changed.\n")
    assert output.count("\n") == 1


@on_each_platform
def test_production_accepts_only_the_release_of_staging(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    code, output = platform.run("deploy", "production", new)

    assert code == 2, output
    assert (
        f"Refusing to deploy {new} to production: staging is not running it" in output
    )
    assert f"(it runs {old}). Deploy it to staging first. If staging is bro" in output
    assert 'see "Hotfix without staging" in docs/deployment.md. To roll pr' in output
    assert (
        "run `make rollback`, or see docs/pipeline.md#rollback. Nothing was" in output
    )
    assert not platform.calls()


def test_site_that_refuses_the_smoke_test_is_not_changed(running):
    platform = running("kubernetes")
    new = platform.commits[1]
    site = platform.folder / f"sites/{platform.names['staging']}.json"
    site.write_text('{"status": 401}')

    for name, reason in (
        ("staging", "staging: it responds with 401 to the smoke test. See"),
        ("production", "staging is not healthy (it responds with 401: see"),
    ):
        code, output = platform.run("deploy", name, new)

        assert code == 2, output
        assert f'{reason} "Smoke test" in docs/deployment.md' in output
        assert not platform.calls()


def test_production_takes_one_lost_request_of_staging(running):
    platform = running("kubernetes")
    new = platform.commits[1]
    platform.run("deploy", "staging", new)
    site = platform.folder / f"sites/{platform.names['staging']}.json"
    answer = {"status": 200, "release": new, "pages": [500, 200]}
    site.write_text(json.dumps(answer))
    platform.sites.numbers = itertools.count()

    code, output = platform.run("deploy", "production", new)

    assert code == 0, output


@on_each_platform
def test_production_rejects_a_release_unready_on_staging(running, target):
    platform = running(target)
    new = platform.commits[1]
    platform.run("deploy", "staging", new)
    name = platform.names["staging"]
    site = platform.folder / f"sites/{name}.json"
    site.write_text(json.dumps({"status": 503, "release": new}))
    before = platform.calls()

    code, output = platform.run("deploy", "production", new)

    assert code == 2, output
    assert "production: staging is not healthy (release " in output
    assert platform.calls() == before


@on_each_platform
def test_hotfix_is_deployed_without_staging(running, target, tmp_path):
    platform = running(target)
    old, new = platform.commits[:2]
    (platform.project / "reports/image.json").unlink(missing_ok=True)
    staging = platform.folder / f"sites/{platform.names['staging']}.json"
    staging.write_text('{"status": 404}')
    summary = tmp_path / "summary"
    variables = {"SUMMARY_VARIABLE": "OF_THE_RUN", "OF_THE_RUN": str(summary)}
    variables |= {"ERROR_FORMAT": "::error title={title}::{text}"}
    code, output = platform.run("deploy", "production", new, SKIP_STAGING="no")

    assert code == 2, output
    assert f"deploy {new} to production: staging is not healthy (it resp" in output
    assert '(it responds with 404). If the release is an urgent fix, see "H' in output

    code, output = platform.run("deploy", "production", new, SKIP_STAGING="1")

    assert code == 2, output
    assert "Set SKIP_STAGING to yes or no, not '1'." in output
    assert not platform.calls()

    variables["SKIP_STAGING"] = "yes"
    code, output = platform.run("deploy", "production", new, **variables)

    assert code == 0, output
    begin = f"SKIP_STAGING=yes: production gets {new} without staging.\n"
    end = "It did not run on staging: deploy it there as well.\n"
    assert output.startswith(begin)
    assert output.endswith(end)
    assert begin + end in summary.read_text()
    assert platform.running("production") == new
    (test,) = ElementTree.parse(platform.project / "reports/deployment.xml").getroot()
    assert [(it.tag, f"{it.text}\n") for it in test] == [("system-out", begin + end)]

    code, output = platform.run("deploy", "production", old, **variables)

    assert code == 2, output
    assert f"deploy {old} to production: it is older than {new}, which runs" in output


@on_each_platform
def test_hotfix_passes_the_other_checks(running, target):
    platform = running(target)
    old, new = platform.commits[:2]
    (platform.folder / f"sites/{platform.names['staging']}.json").unlink()
    hotfix = {"SKIP_STAGING": "yes"}
    if platform.runs_image:
        code, output = platform.run(
            "deploy", "production", new, IMAGE="example.com/shop:latest", **hotfix
        )

        assert code == 2, output
        assert "Set IMAGE to an image with its digest" in output
        assert not platform.calls()

    code, output = platform.run(
        "deploy", "production", new, STAND_IN_BROKEN=new, **hotfix
    )

    assert code == 1, output
    assert f"The previous release {old} runs again and is ready." in output
    assert platform.running("production") == old


@on_each_platform
def test_secrets_are_neither_printed_nor_arguments(running, target):
    platform = running(target)
    _, good = platform.run("deploy", "staging", platform.commits[1])
    _, bad = platform.run(
        "deploy", "staging", platform.commits[2], STAND_IN_BROKEN=platform.commits[2]
    )
    calls = (platform.folder / "calls").read_text()

    for secret in platform.secrets.values():
        assert secret not in good + bad + calls
