"""Each gate turns red for its own reason, and green again when the reason is gone."""

import socket

import pytest
from options import REDIS_STATES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(render_for_module):
    """A project that the tests of this module break in turn, and mend."""
    project = render_for_module()
    project.commit()
    return project


@pytest.fixture
def redis_project(render):
    project = render(**REDIS_STATES["redis-celery-channels"])
    project.commit()
    return project


def red(project, gate, reason, **variables):
    """Assert that `make ci` fails in the gate and says why; mend; assert that it is green."""
    done = project.make("ci", **variables)
    assert done.returncode != 0
    assert f": {gate}] Error" in done.stdout, done.stdout
    assert reason in done.stdout, done.stdout

    project.run("git", "stash", "--include-untracked")
    done = project.make(gate)
    assert done.returncode == 0, done.stdout


def add_migration(project, name, operations=""):
    (project / f"apps/users/migrations/{name}.py").write_text(
        "from django.db import migrations\n\n\n"
        "class Migration(migrations.Migration):\n"
        '    dependencies = [("users", "0001_initial")]\n'
        f"    operations = [{operations}]\n"
    )


def closed_port():
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_bad_format(project):
    (project / "apps/users/ugly.py").write_text("x = {  'a':1 }\n")

    red(project, "lint", "would reformat")


def test_a_lint_error(project):
    (project / "apps/users/unused.py").write_text("import os\n")

    red(project, "lint", "F401")


def test_an_insecure_production_setting(project):
    project.edit(
        "config/settings/production.py",
        "SESSION_COOKIE_SECURE = True",
        "SESSION_COOKIE_SECURE = False",
    )

    red(project, "check", "security.W012")


def test_a_model_change_without_migration(project):
    with (project / "apps/users/models.py").open("a") as models:
        models.write("\n    class Meta:\n        verbose_name = 'member'\n")
    project.make("format")

    red(project, "check", "Change Meta options on user")


def test_two_leaf_migrations(project):
    add_migration(project, "0002_one")
    add_migration(project, "0002_two")

    red(project, "check", "makemigrations --merge")


def test_a_broken_migration(project):
    add_migration(project, "0002_one", 'migrations.RunSQL("SELECT * FROM nowhere")')

    red(project, "migrate", 'relation "nowhere" does not exist')


def test_a_failing_test(project):
    (project / "tests/test_wrong.py").write_text(
        "def test_wrong():\n    assert 1 == 2\n"
    )

    red(project, "test", "1 failed")


def test_coverage_below_the_threshold(project):
    (project / "apps/users/untested.py").write_text(
        "def untested(x):\n" + "    x += 1\n" * 50 + "    return x\n"
    )

    red(project, "test", "Required test coverage of 90.0% not reached")


def test_postgresql_gone(project):
    port = closed_port()

    red(
        *(project, "migrate", "Connection refused"),
        POSTGRES_HOST="127.0.0.1",
        POSTGRES_PORT=port,
    )


def test_redis_gone(redis_project):
    red(
        *(redis_project, "test", "test_ready_names_the_release_and_each_check"),
        REDIS_URL=f"redis://127.0.0.1:{closed_port()}/0",
    )
