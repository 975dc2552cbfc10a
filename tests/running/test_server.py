"""The web server and the worker run in production as the README describes, and stop cleanly."""

import json
import signal
import threading
import time

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import (
    GUNICORN,
    SECURE,
    add_slow_page,
    fetch,
    production,
    running,
)

pytestmark = pytest.mark.slow

# Loads the application, as a worker of Gunicorn does, and then prints what the checks
# import, and their results.
FIRST_PROBE = """
import sys
from importlib import import_module

from config import gunicorn

import_module(gunicorn.wsgi_app)
from apps.health.runner import run_checks

before = set(sys.modules)
results = run_checks()
print(sorted(sys.modules.keys() - before), set(results.values()))
"""


@pytest.fixture(scope="module", params=["none", "redis-celery-channels"])
def project(render_for_module, request):
    project = render_for_module(**REDIS_STATES[request.param])
    add_slow_page(project)
    return project.installed()


@pytest.fixture(scope="module")
def environment(project):
    """Yield the variables of production, with a database that is migrated."""
    with project.services() as variables:
        environment = production() | variables
        for command in (["migrate"], ["collectstatic", "--noinput"]):
            manage = (".venv/bin/python", "manage.py", *command)
            project.run_ok(*manage, **environment)
        yield environment


def test_server_starts_the_configured_number_of_processes(project, environment):
    with running(project, WEB_CONCURRENCY="3", **environment) as server:
        status, body = fetch(server.port, "/readyz")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    assert (status, json.loads(body)["release"]) == (200, "1f2e3d")
    assert server.output().count("Booting worker") == 3


def test_server_serves_no_uploads(project, environment):
    (project / "media").mkdir()
    (project / "media/upload.txt").write_text("uploaded")

    with running(project, **environment) as server:
        assert fetch(server.port, "/", **SECURE)[0] == 200
        assert fetch(server.port, "/media/upload.txt", **SECURE)[0] == 404


def test_first_probe_imports_nothing(project, environment):
    done = project.run_ok(".venv/bin/python", "-c", FIRST_PROBE, **environment)

    assert done.stdout == "[] {'ok'}\n"


def test_server_logs_only_json(project, environment):
    with running(project, **environment) as server:
        fetch(server.port, "/healthz?token=secret")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    lines = [json.loads(line) for line in server.output().splitlines()]
    answers = [line for line in lines if line["name"] == "gunicorn.access"]
    assert {"path": "/healthz", "status": 200}.items() <= answers[-1].items()
    assert "secret" not in server.output()


def test_server_finishes_a_request_before_it_stops(project, environment):
    answers = []
    with running(project, **environment) as server:
        thread = threading.Thread(
            target=lambda: answers.append(fetch(server.port, "/slow", **SECURE))
        )
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        server.process.wait(20)

    assert answers == [(200, "done")]
    assert server.process.returncode == 0


@pytest.mark.parametrize("name", ["DJANGO_SECRET_KEY", "SITE_URL", "POSTGRES_HOST"])
def test_server_does_not_start_without_a_required_variable(project, environment, name):
    rest = {key: value for key, value in environment.items() if key != name}

    done = project.run(*GUNICORN, timeout=30, **rest)

    assert done.returncode != 0
    assert name in done.stdout


def test_worker_starts_and_stops(project, environment):
    if not (project / "config" / "celery.py").exists():
        return
    command = [".venv/bin/celery", "--app", "config", "worker", "--loglevel", "info"]
    with running(project, command=command, ready=" ready.", **environment) as worker:
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(20)

    assert worker.process.returncode == 0
