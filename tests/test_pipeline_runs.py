"""Each provider's own file is run here, on real servers at the addresses that it names."""

import os
import shutil
import subprocess

import pytest
import sandbox
from act import run_github
from breaks import BREAKS
from circleci_runner import run_circleci
from gitlab_ci_local import run_gitlab
from options import REDIS_STATES, choices
from project import Project
from sandbox import UV, Sandbox

pytestmark = pytest.mark.slow
RUNNERS = {"github": run_github, "gitlab": run_gitlab, "circleci": run_circleci}
PYTHON = "3.13"  # of the test environment, so it is there
NONE, FULL = REDIS_STATES["none"], REDIS_STATES["redis-celery-channels"]
of_every_provider = pytest.mark.parametrize("provider", choices("ci_provider"))


def require_sandbox():
    """Skip the test where no sandbox can run. In a pipeline that is an error."""
    if reason := sandbox.reason_against():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"the pipelines need Linux and its namespaces: {reason}")


@pytest.fixture(scope="session")
def programs(rendered, tmp_path_factory):
    """Install the servers that a project has for its development, at its versions.

    And fill uv's cache: in the sandbox, where is no network, jobs install from it alone.
    """
    require_sandbox()
    pins = rendered(**FULL) / "requirements-dev.txt"
    folder = tmp_path_factory.mktemp("programs")
    uv = [UV, "pip", "install", "--quiet", "--python", PYTHON]
    subprocess.run(
        [*uv, "--target", folder / "all", "--require-hashes", "-r", pins], check=True
    )
    return folder / "all"


@pytest.fixture
def project(rendered, tmp_path):
    """Return a function that copies a rendered project, for the test to change."""

    def project(**answers):
        shared = rendered(python_version=PYTHON, **answers).path
        return Project(shutil.copytree(shared, tmp_path / "project"))

    return project


@pytest.fixture
def run(programs, tmp_path):
    """Return a function that runs the pipeline of a project as its provider would."""

    def run(provider, project, without=(), **options):
        project.commit()
        scratch = tmp_path / "run"
        scratch.mkdir()
        return RUNNERS[provider](
            project, Sandbox(scratch, programs, without=without), **options
        )

    return run


@of_every_provider
@pytest.mark.parametrize("answers", [NONE, FULL], ids=["none", "full"])
def test_a_fresh_project_is_green_on_its_services(project, run, provider, answers):
    done = run(provider, project(ci_provider=provider, **answers), jobs=["test"])

    expected = {"lint": "success", "test": "success", "audit": "skipped"}
    assert done.results == expected, done.logs
    assert done.passed
    assert "database=test_my_project" in done.told["postgres"]
    if answers["use_redis"]:
        assert ":1:test_cache" in done.told["redis"]
    assert reports(done) == {"coverage.xml", "junit.xml"}


def reports(done):
    """Return the names of the reports that a run published."""
    return {file.name for file in done.artifacts.rglob("*.xml")}


@of_every_provider
@pytest.mark.parametrize("answer", choices("dependency_audit"))
def test_an_audit_that_cannot_run_is_red_and_fails_the_pipeline_if_it_shall(
    project, run, provider, answer
):
    answers = {"ci_provider": provider, "dependency_audit": answer}
    done = run(provider, project(**answers), jobs=["audit"])

    assert done.results["audit"] == "failure"
    assert "Max retries exceeded" in done.logs["audit"], done.logs["audit"]
    assert done.passed == (answer == "report")


@of_every_provider
def test_the_nightly_run_tests_the_newest_packages_and_enforces_the_audit(
    project, run, provider
):
    tried = project(ci_provider=provider)
    warm = tried.make("newest")  # uv's cache then has the newest packages, too
    assert warm.returncode == 0, warm.stdout
    done = run(provider, tried, workflow="nightly")

    assert done.results == {"audit": "failure", "newest": "success"}, done.logs
    assert not done.passed
    assert "The slowest tests" in done.logs["newest"]
    assert list(done.artifacts.rglob("newest.txt"))


@of_every_provider
@pytest.mark.parametrize(("damage", "outcome"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_a_project_turns_one_job_red(
    project, run, provider, damage, outcome
):
    broken = project(ci_provider=provider)
    damage(broken)
    done = run(provider, broken, jobs=["test"])

    gate, reason = outcome
    if gate == "lint":
        job, ends = "lint", ("failure", "skipped")
    else:
        job, ends = "test", ("success", "failure")
    assert (done.results["lint"], done.results["test"]) == ends, done.logs
    assert f": {gate}] Error" in done.logs[job], done.logs[job]
    assert reason in done.logs[job], done.logs[job]
    assert not done.passed
    # The reports of a red test are what one wants to read.
    assert reports(done) == ({"coverage.xml", "junit.xml"} if gate == "test" else set())


@of_every_provider
@pytest.mark.parametrize(
    ("service", "name"), [("postgres", "PostgreSQL"), ("redis", "Redis")]
)
def test_a_service_that_is_gone_turns_the_job_test_red(
    project, run, provider, service, name
):
    lonely = project(ci_provider=provider, **FULL)
    lonely.edit("scripts/services.py", "PATIENCE = 60", "PATIENCE = 1")
    done = run(provider, lonely, without=(service,), jobs=["test"])

    assert (done.results["lint"], done.results["test"]) == ("success", "failure")
    assert f"{name} at " in done.logs["test"], done.logs["test"]
    assert "Connection refused" in done.logs["test"], done.logs["test"]
    assert ": wait] Error" in done.logs["test"], done.logs["test"]
    assert "check --deploy" not in done.logs["test"], done.logs["test"]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_machine_without_namespaces_skips_a_run_but_fails_it_in_a_pipeline(
    monkeypatch, ci, outcome
):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match="there is no unshare"):
        require_sandbox()
