import pytest

from apps.health.checks import NotReady
from apps.health.checks.results import check_results
from config.celery import app


def test_results_that_are_lost_are_not_ready(monkeypatch):
    monkeypatch.setattr(app.backend, "store_result", lambda *arguments: None)

    with pytest.raises(NotReady, match="are lost"):
        check_results()
