"""A task outlives its worker: another one repeats it. All of their lines are JSON."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import SHELL, WORKER, production, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SLOW = """

@shared_task(ignore_result=True)
def slow():
    import time

    with open("ran", "a") as file:
        print("begin", file=file, flush=True)
        time.sleep(5)
        print("end", file=file)

@shared_task(ignore_result=True, max_retries=1, default_retry_delay=0)
def deadly():
    import os, signal
    from celery.utils.log import get_task_logger

    logger = get_task_logger(__name__)
    logger.info("hidden")
    logger.warning("logged")
    print("printed")
    with open("ran", "a") as file:
        print("begin", file=file, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
# Look for lost tasks each second, instead of each 100 s.
EAGER = """
CELERY_BROKER_TRANSPORT_OPTIONS |= {
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
"""
SEND = "from apps.users.tasks import slow; slow.delay()"
SEND_DEADLY = "from apps.users.tasks import deadly; print(deadly.delay().id)"

# A second, instead of a time of the day, and instead of three minutes
OFTEN = """
from celery.beat import Scheduler
CELERY_BEAT_SCHEDULE["delete-expired-sessions"]["schedule"] = 1
Scheduler.sync_every = 1
"""


@pytest.fixture
def project(render):
    """Return a project with a task of 5 s and times that suit a test."""
    project = render(
        **REDIS_STATES["redis-celery"], use_docker=True, deploy_target="kubernetes"
    )
    for old, new in {
        "CELERY_TASK_TIME_LIMIT = 280": "CELERY_TASK_TIME_LIMIT = 8",
        "CELERY_TASK_TIME_LIMIT + 240": "CELERY_TASK_TIME_LIMIT + 2",
        "SHUTDOWN_TIMEOUT = 20": "SHUTDOWN_TIMEOUT = 2",
    }.items():
        project.edit("config/settings/base.py", old, new)
    for name, text in (
        ("apps/users/tasks.py", SLOW),
        ("config/settings/production.py", EAGER + OFTEN),
    ):
        with (project / name).open("a") as file:
            file.write(text)
    return project.installed()


@pytest.fixture
def environment(project):
    with project.services() as services:
        yield production() | services


def test_task_of_a_killed_worker_goes_to_another(project, environment):
    with running(project, WORKER, ready=" ready.", **environment) as worker:
        send_and_wait(project, environment)
        killed = time.monotonic()
        worker.process.kill()

    with running(project, WORKER, ready=" ready.", **environment) as worker:
        wait_until(lambda: ran(project).count("begin") == 2, reason=worker.output)
        seconds = time.monotonic() - killed
        wait_until(lambda: " succeeded in " in worker.output(), reason=worker.output)

    assert seconds > 5  # and not while its own worker could have run it


def test_task_whose_process_is_killed_is_retried_and_then_fails(project, environment):
    sent = project.run_ok(*SHELL, SEND_DEADLY, **environment).stdout.split()[-1]
    environment |= {"LOG_LEVEL": "WARNING"}
    with running(project, WORKER, ready="logged", **environment) as worker:
        wait_until(lambda: "lost its process" in worker.output(), reason=worker.output)

    assert ran(project).split() == ["begin", "begin"]
    lines = [it for it in worker.lines() if it["name"] != "py.warnings"]
    errors = [it["message"] for it in lines if it["levelname"] == "ERROR"]
    assert f"Task apps.users.tasks.deadly[{sent}] lost its process" in errors
    messages = {it["message"] for it in lines}
    assert {"logged", "printed"} <= messages
    assert {it["levelname"] for it in lines} == {"WARNING", "ERROR"}


def test_worker_returns_an_unfinished_task_when_it_stops(project, environment):
    environment |= {"REMAP_SIGTERM": "SIGQUIT"}
    with running(project, WORKER, ready=" ready.", **environment) as worker:
        send_and_wait(project, environment)
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(20)

    assert worker.process.returncode == 0
    assert "Soft Shutdown, terminating in 2" in worker.output()
    assert "Restoring 1 unacknowledged message(s)" in worker.output()
    with running(project, WORKER, ready=" ready.", **environment) as worker:
        wait_until(lambda: " succeeded in " in worker.output(), reason=worker.output)
    assert ran(project).split() == ["begin", "begin", "end"]


def test_beat_sends_tasks_and_probes_notice_what_hangs(project, environment, tmp_path):
    project.run_ok(".venv/bin/python", "manage.py", "migrate", **environment)
    folder = tmp_path / "tmp"
    folder.mkdir()
    environment |= {"TMPDIR": str(folder)}
    worker_args, worker_probe = manifest(project, "worker", folder)
    beat_args, beat_probe = manifest(project, "beat", folder)
    with (
        running(project, worker_args, ready=" ready.", **environment) as worker,
        running(project, beat_args, ready="beat: Starting", **environment) as beat,
    ):
        wait_until(lambda: " succeeded in " in worker.output(), reason=beat.output)
        for process, probe in ((worker, worker_probe), (beat, beat_probe)):
            with stopped(process.process.pid):
                for path in folder.iterdir():
                    os.utime(path, (0, 0))
                assert not passes(probe)
            wait_until(lambda probe=probe: passes(probe), reason=process.output)
        beat.process.send_signal(signal.SIGTERM)
        beat.process.wait(20)

    assert {"celery.beat"} <= {line["name"] for line in beat.lines()}
    assert worker.lines()
    assert beat.process.returncode == 0
    assert list(folder.glob("beat*"))
    assert not list(project.path.glob("celerybeat*"))


def manifest(project, name, folder):
    """Return the command of a process and that of its probe, with another /tmp."""
    deployment = project.documents(f"deploy/kubernetes/base/{name}.yaml")[0]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probe = container["livenessProbe"]["exec"]["command"]
    command, *arguments = [it.replace("/tmp", str(folder)) for it in container["args"]]
    return [f".venv/bin/{command}", *arguments], [
        it.replace("/tmp", str(folder)) for it in probe
    ]


def passes(probe):
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def stopped(pid):
    """Stop a process; let it continue afterwards."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def send_and_wait(project, environment):
    """Send the task, and wait until a worker has begun it."""
    project.run_ok(*SHELL, SEND, **environment)
    wait_until(lambda: ran(project))


def ran(project):
    """Return what the runs of the task have written."""
    file = project / "ran"
    return file.read_text() if file.exists() else ""
