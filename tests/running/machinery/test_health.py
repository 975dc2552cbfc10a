import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from apps.health import runner

pytestmark = pytest.mark.django_db


def check_quick():
    pass


def check_broken():
    raise ConnectionError("password=hunter2")


def check_exiting():
    sys.exit("broken")


@pytest.fixture
def names(settings):
    """Return the names of the checks of this project."""
    return [path.rpartition(".check_")[2] for path in settings.HEALTH_CHECKS]


@pytest.fixture
def broken(settings):
    """Add a check that fails, and whose error contains a secret."""
    settings.HEALTH_CHECKS = [*settings.HEALTH_CHECKS, f"{__name__}.check_broken"]


def test_failing_check_is_reported_without_its_secret(client, broken):
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["broken"] == "failed: ConnectionError"
    assert response.json()["checks"]["database"] == "ok"


def test_check_that_exits_is_a_failure(settings):
    settings.HEALTH_CHECKS = [f"{__name__}.check_exiting"]

    assert runner.run_checks() == {"exiting": "failed: SystemExit"}


@pytest.mark.parametrize("order", [1, -1])
def test_failure_counts_among_checks_of_one_name(monkeypatch, settings, order):
    checks = {"one.check_it": check_broken, "two.check_it": check_quick}
    monkeypatch.setattr(runner, "import_string", checks.get)
    settings.HEALTH_CHECKS = list(checks)[::order]

    assert runner.run_checks() == {"it": "failed: ConnectionError"}


def test_hanging_check_fails_in_time_and_starts_once(client, monkeypatch, settings):
    end = threading.Event()
    monkeypatch.setattr(runner, "TIMEOUT", 0.1)
    monkeypatch.setattr(runner, "import_string", {"it.check_hanging": end.wait}.get)
    settings.HEALTH_CHECKS = ["it.check_hanging"]
    try:
        results = [client.get("/readyz").json()["checks"] for _ in range(3)]
        threads = [thread.name for thread in threading.enumerate()]
    finally:
        end.set()
        runner.latest["it.check_hanging"].join()

    assert results == 3 * [{"hanging": "failed: no answer in 0.1 s"}]
    assert threads.count("hanging") == 1


def test_slow_import_of_a_check_does_not_count(monkeypatch, settings):
    now = 0

    def import_slowly(path):
        nonlocal now
        now += 2 * runner.TIMEOUT
        return lambda: time.sleep(0.1)

    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(runner, "time", clock)
    monkeypatch.setattr(runner, "import_string", import_slowly)
    settings.HEALTH_CHECKS = [f"{__name__}.check_quick"]

    assert runner.run_checks() == {"quick": "ok"}


def test_simultaneous_probes_do_not_disturb_each_other(settings):
    settings.HEALTH_CHECKS = [f"{__name__}.check_quick"]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: runner.run_checks(), range(400)))

    assert results == 400 * [{"quick": "ok"}]


def test_command_runs_the_checks_of_the_probe(capsys, names):
    call_command("healthcheck", "--json")

    results = json.loads(capsys.readouterr().out)
    assert results == dict.fromkeys(names, "ok")


def test_command_fails_and_names_the_check(capsys, broken):
    with pytest.raises(CommandError, match="not ready: broken"):
        call_command("healthcheck")

    assert "broken: failed: ConnectionError" in capsys.readouterr().out
