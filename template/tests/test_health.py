import pytest
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db


def check_broken():
    raise ConnectionError("password=hunter2")


@pytest.fixture
def names(settings):
    """Return the names of the checks of this project."""
    return [path.rpartition(".check_")[2] for path in settings.HEALTH_CHECKS]


@pytest.fixture
def broken(settings):
    """Add a check that fails, and whose error contains a secret."""
    settings.HEALTH_CHECKS = [*settings.HEALTH_CHECKS, f"{__name__}.check_broken"]


def test_liveness_runs_no_check(client, broken):
    assert client.get("/healthz").content == b"ok"


def test_readiness_reports_release_and_checks(client, settings, names):
    settings.RELEASE = "1f2e3d"

    response = client.get("/readyz")

    assert response.status_code == 200, response.content
    assert response.json() == {
        "status": "ok",
        "release": "1f2e3d",
        "checks": dict.fromkeys(names, "ok"),
    }


def test_pending_migration_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda recorder: {})

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "failed: NotReady"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_neither_host_name_nor_tls(client, production, path):
    production.HEALTH_CHECKS = []

    response = client.get(path, headers={"host": "10.0.0.7"})

    assert response.status_code == 200
