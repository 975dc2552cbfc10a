"""The connections to the database in production: how many, and for how long."""

import pytest

from tests.support.options import REDIS_STATES
from tests.support.processes import SECURE, WORKER, add_urls, fetch, production, running

pytestmark = pytest.mark.slow

# A page with the number of the server process behind its connection, after some seconds.
PAGE = """
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from config.urls import urlpatterns

def page(request, milliseconds):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s), pg_backend_pid()", [milliseconds / 1000])
        return HttpResponse(str(cursor.fetchone()[1]))

urlpatterns += [path("page/<int:milliseconds>", page)]
"""
SLOW_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunSQL("SELECT pg_sleep(1)")]
"""

CONNECT = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    print(cursor.fetchone()[0])
"""
# The worker opens a connection before it forks.
CONNECT_EARLY = """
from celery import signals

@signals.celeryd_init.connect
def connect(**kwargs):
    import django
    django.setup()
    from apps.users.models import User
    User.objects.count()
"""
RUN_TASKS = """
import django
django.setup()
from apps.users.tasks import delete_expired_sessions
run = delete_expired_sessions.apply_async
results = [run(ignore_result=False) for _ in range(20)]
print([result.get(timeout=60) for result in results])
"""


@pytest.fixture(scope="module", params=["none", "redis-celery-channels"])
def project(render_for_module, request):
    project = render_for_module(**REDIS_STATES[request.param])
    add_urls(project, PAGE)
    (project / "apps/users/migrations/0002_slow.py").write_text(SLOW_MIGRATION)
    return project.installed()


@pytest.fixture(scope="module")
def environment(project):
    """Yield the variables of one process of production, with a migrated database."""
    with project.services() as variables:
        environment = production() | variables | {"WEB_CONCURRENCY": "1"}
        # The slow migration takes longer than this.
        environment["STATEMENT_TIMEOUT"] = "0.5"
        project.run_ok(".venv/bin/python", "manage.py", "migrate", **environment)
        yield environment


def test_requests_share_connections(project, environment):
    with running(project, **environment) as server:
        pages = [fetch(server.port, "/page/0", **SECURE) for _ in range(40)]
        ready = fetch(server.port, "/readyz")[1]

    assert {status for status, _ in pages} == {200}
    assert len({pid for _, pid in pages}) <= 5
    assert '"database": "ok"' in ready


def test_statement_ends_at_its_limit(project, environment):
    with running(project, **environment) as server:
        status, _ = fetch(server.port, "/page/5000", **SECURE)

    assert status == 500
    assert "canceling statement due to statement timeout" in server.output()


def test_command_ends_without_waiting_for_its_connections(project, environment):
    done = project.run_ok(".venv/bin/python", "-c", CONNECT, **environment)

    assert done.stdout == "1\n"


def test_pool_opens_connections_with_the_lts_of_django(render_for_module):
    answers = REDIS_STATES["redis-channels"] | {"django_version": "5.2"}
    project = render_for_module(**answers).installed()
    with project.services() as variables:
        environment = production() | variables
        done = project.run_ok(".venv/bin/python", "-c", CONNECT, **environment)

    assert done.stdout == "1\n"


@pytest.mark.parametrize("project", ["redis-celery-channels"], indirect=True)
def test_worker_shares_no_connection_with_its_children(project, environment):
    with (project / "config/celery.py").open("a") as celery:
        celery.write(CONNECT_EARLY)
    with running(project, command=WORKER, ready=" ready.", **environment) as worker:
        done = project.run_ok(".venv/bin/python", "-c", RUN_TASKS, **environment)

    assert str(20 * [0]) in done.stdout
    assert "Traceback" not in worker.output()
    assert "psycopg" not in worker.output()
