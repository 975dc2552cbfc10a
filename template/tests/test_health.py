import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from apps.health import checks

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(monkeypatch):
    """Add a check that fails, and whose error holds a secret."""

    def fail():
        raise ConnectionError("password=hunter2")

    monkeypatch.setitem(checks.CHECKS, "broken", fail)


def test_alive_without_asking_anything(client, broken):
    assert client.get("/healthz").content == b"ok"


def test_ready_names_the_release_and_each_check(client, settings):
    settings.RELEASE = "1f2e3d"

    response = client.get("/readyz")

    assert response.status_code == 200, response.content
    assert response.json() == {
        "status": "ok",
        "release": "1f2e3d",
        "checks": dict.fromkeys(checks.CHECKS, "ok"),
    }


def test_not_ready_names_the_failing_check_and_keeps_its_secret(client, broken):
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["broken"] == "failed: ConnectionError"
    assert response.json()["checks"]["database"] == "ok"


# The checks run in threads, which see only what is committed.
@pytest.mark.django_db(transaction=True)
def test_not_ready_while_a_migration_is_pending(client):
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("users", "0001_initial")
    try:
        response = client.get("/readyz")
    finally:
        recorder.record_applied("users", "0001_initial")

    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "failed: NotReady"


def test_a_check_that_hangs_fails_in_time_and_is_not_started_again(client, monkeypatch):
    end = threading.Event()
    monkeypatch.setattr(checks, "TIMEOUT", 0.1)
    monkeypatch.setattr(checks, "CHECKS", {"hanging": end.wait})
    before = threading.active_count()
    try:
        results = [client.get("/readyz").json()["checks"] for _ in range(3)]
        assert threading.active_count() == before + 1
    finally:
        end.set()

    assert results == 3 * [{"hanging": "failed: no answer in 0.1 s"}]


def test_probes_at_the_same_time_do_not_disturb_each_other(monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", {"quick": lambda: None})

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: checks.run_checks(), range(400)))

    assert results == 400 * [{"quick": "ok"}]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_host_name_and_no_tls(client, production, path):
    response = client.get(path, headers={"host": "10.0.0.7"})

    assert response.status_code == 200


def test_the_command_agrees_with_the_probe(capsys):
    call_command("healthcheck", "--json")

    results = json.loads(capsys.readouterr().out)
    assert results == dict.fromkeys(checks.CHECKS, "ok")


def test_the_command_fails_and_names_the_check(capsys, broken):
    with pytest.raises(CommandError, match="not ready: broken"):
        call_command("healthcheck")

    assert "broken: failed: ConnectionError" in capsys.readouterr().out
