"""Tests of a generated project share no key in Redis with development or each other."""

import json
import sys

import pytest

from tests.support.environments import link_packages
from tests.support.gates import ci_key
from tests.support.options import FULL
from tests.support.project import Project
from tests.support.verdicts import code_of, once, tools_of

pytestmark = [pytest.mark.slow, pytest.mark.seconds(15)]
PLUGINS = ("execnet", "pytest-xdist")
# What development has in each database, under the names that the tests use, too.
FILL = """
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.cache import cache
from apps.users.tasks import delete_expired_sessions

cache.set("place", "development", None)
delete_expired_sessions.delay()
async_to_sync(get_channel_layer().send)("place", {"type": "development"})
"""
# Prints the content of each key in each database.
SHOW = """
import json, os, redis

path = os.environ["REDIS_URL"].partition("?")[0]
clients = [redis.Redis.from_url(f"{path}?db={number}") for number in range(16)]
print(json.dumps([{key.hex(): db.dump(key).hex() for key in db.keys()} for db in clients]))
"""
# Two workers do this at the same time, twice.
MEETING = """\
import time

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.cache import cache

from apps.users.tasks import delete_expired_sessions
from config.celery import app
from tests import test_tasks

broker = test_tasks.broker


@pytest.mark.parametrize("number", [1, 2])
def test_worker_meets_no_other(worker_id, broker, tmp_path_factory, number):
    layer = get_channel_layer()
    assert cache.add("place", worker_id, None)
    async_to_sync(layer.send)("place", {"type": worker_id})
    delete_expired_sessions.delay()
    meeting = tmp_path_factory.getbasetemp().parent
    (meeting / f"{worker_id}-{number}").touch()
    while len(list(meeting.glob(f"gw*-{number}"))) < 2:
        time.sleep(0.01)

    assert cache.get("place") == worker_id
    assert async_to_sync(layer.receive)("place") == {"type": worker_id}
    assert app.control.purge() == 1
    cache.clear()
"""


def test_tests_leave_redis_as_it_is(rendered, tmp_path):
    generated = rendered(**FULL)

    def judge():
        plugins = str(link_packages(tmp_path / "plugins", *PLUGINS))
        project = generated.copy_to(tmp_path / "project").installed()
        with project.services() as variables:
            shell = ("shell", "--verbosity=0", "--command")
            local = variables | {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
            project.run_ok(".venv/bin/python", "manage.py", *shell, FILL, **local)
            before = databases(project, variables)
            assert [len(keys) > 0 for keys in before[:4]] == [True, True, False, True]

            project.make_ok("test", "ARGS=--no-cov")
            assert databases(project, variables) == before

            (project / "tests/test_meeting.py").write_text(MEETING)
            options = "--no-cov --numprocesses=2 --dist=each tests/test_meeting.py"
            project.make_ok("test", f"ARGS={options}", PYTHONPATH=plugins)
            assert databases(project, variables) == before

    code = code_of(sys.modules[__name__], Project)
    once("tests and redis", [ci_key(generated), code, tools_of(*PLUGINS)], judge)


def databases(project, variables):
    """Return the content of each key in each database of the project's Redis."""
    done = project.run_ok(".venv/bin/python", "-c", SHOW, **variables)
    return json.loads(done.stdout)
