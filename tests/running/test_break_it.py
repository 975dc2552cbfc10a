"""Each gate fails for its own reason, and passes again once that is fixed."""

import pytest

from tests.support.breaks import BREAKS
from tests.support.options import FULL
from tests.support.project import closed_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(render_for_module):
    """A project that the tests of this module break in turn, and fix."""
    project = render_for_module(coverage_threshold=0).with_one_short_test().installed()
    project.commit()
    return project


@pytest.fixture
def redis_project(render):
    project = render(**FULL).installed()
    project.commit()
    return project


def red(project, gate, reason, **variables):
    """Assert that the gate fails with this reason; fix it; assert that the gate passes."""
    done = project.make(gate, **variables)
    assert done.returncode != 0
    assert f": {gate}] Error" in done.stdout, done.stdout
    assert reason in done.stdout, done.stdout

    project.run("git", "stash", "--include-untracked")
    project.make_ok(gate)


@pytest.mark.parametrize(("damage", "outcome"), BREAKS.values(), ids=BREAKS)
def test_gate_fails_until_the_damage_is_fixed(project, damage, outcome):
    damage(project)

    red(project, *outcome)


def test_check_migrations_fails_without_postgresql(project):
    port = closed_port()

    red(
        *(project, "check-migrations", "Connection refused"),
        POSTGRES_HOST="127.0.0.1",
        POSTGRES_PORT=str(port),
    )


def test_test_fails_without_redis(redis_project):
    # Each test of the cache would wait for the server in turn.
    test = "test_readiness_reports_release_and_checks"
    red(
        *(redis_project, "test", f"FAILED tests/test_health.py::{test}"),
        REDIS_URL=f"redis://127.0.0.1:{closed_port()}/0",
        ARGS=f"--no-cov -k {test}",
    )


def test_test_names_a_missing_migration_in_one_sentence(redis_project):
    damage, _ = BREAKS["a model change without migration"]
    damage(redis_project)

    done = redis_project.make("test", ARGS="--no-cov -k test_no_migration_is_missing")

    assert "is missing: run make manage ARGS=makemigrations.\n" in done.stdout
    assert "Change Meta options on user" in done.stdout
    assert "site-packages/django" not in done.stdout
