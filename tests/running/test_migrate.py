"""Of two processes that migrate a database at the same time, one waits, and both succeed."""

import subprocess

import pytest

from tests.support.project import clean_environment

pytestmark = pytest.mark.slow
SLOW = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [
        migrations.RunSQL("SELECT pg_sleep(2)"),
        migrations.RunSQL("CREATE TABLE once (id int)"),
    ]
"""
# It waits for every other statement that has begun: a second runner's, too.
CONCURRENT = """
from django.db import migrations

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("users", "0002_slow")]
    operations = [
        migrations.RunSQL("CREATE INDEX CONCURRENTLY lasting ON users_user (last_name)"),
    ]
"""


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module()
    (project / "apps/users/migrations/0002_slow.py").write_text(SLOW)
    (project / "apps/users/migrations/0003_concurrent.py").write_text(CONCURRENT)
    return project.installed()


def begin(project, variables):
    """Begin to migrate, as a release does; return the process."""
    return subprocess.Popen(
        [".venv/bin/python", "manage.py", "migrate"],
        cwd=project.path,
        env=clean_environment(
            **variables,
            DJANGO_SETTINGS_MODULE="config.settings.local",
            PYTHONUNBUFFERED="1",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_runners_migrate_one_after_the_other(project):
    with project.services() as variables:
        runners = [begin(project, variables) for _ in range(2)]
        outputs = [runner.communicate(timeout=60)[0] for runner in runners]
        shown = project.make("manage", "ARGS=showmigrations users", **variables)

    assert [runner.returncode for runner in runners] == [0, 0], outputs
    applied = ["Applying users.0002_slow... OK" in output for output in outputs]
    waited = ["Waiting for another migrate" in output for output in outputs]
    assert sorted(applied) == [False, True]
    assert applied == [not it for it in waited]
    assert "[X] 0003_concurrent" in shown.stdout


def test_killed_runner_releases_the_lock(render):
    project = render().installed()
    (project / "apps/users/migrations/0002_slow.py").write_text(SLOW)
    with project.services() as variables:
        first = begin(project, variables)
        printed = ""
        while "0002_slow" not in printed:  # No end of line: it is in the middle of it.
            assert first.poll() is None
            printed += first.stdout.read(1)
        first.kill()
        second = begin(project, variables)
        output = second.communicate(timeout=60)[0]

    assert second.returncode == 0, output
    assert "Applying users.0002_slow... OK" in output
