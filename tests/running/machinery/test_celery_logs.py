import json
import logging
import sys

import pytest
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.apps import worker
from celery.utils.log import get_multiprocessing_logger
from pythonjsonlogger.json import JsonFormatter

from config import celery_logs
from config.logs import LOGGING


@pytest.fixture
def stdout(capfd):
    """Log as production; return a function that returns standard output so far."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(LOGGING["formatters"]["json"]["fmt"]))
    handlers = logging.getLogger().handlers
    handlers.insert(0, handler)
    yield lambda: capfd.readouterr().out
    handlers.remove(handler)


def test_celery_adds_neither_handlers_nor_levels(monkeypatch):
    monkeypatch.setattr(worker, "safe_say", worker.safe_say)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    pool = get_multiprocessing_logger()
    monkeypatch.setattr(pool, "propagate", False)

    celery_logs.keep_logs()
    try:
        # Celery sets up its own logs if this has no receiver.
        ((receiver, _),) = signals.setup_logging.send(sender=None)
    finally:
        signals.setup_logging.disconnect(celery_logs.take_over)
        signals.task_failure.disconnect(celery_logs.name_lost_task)

    assert receiver is celery_logs.take_over
    assert worker.safe_say is celery_logs.say
    assert pool.propagate
    assert type(sys.stdout).__name__ == "LoggingProxy"


def test_handler_of_a_signal_writes_a_line_of_the_log(stdout, caplog):
    caplog.set_level(logging.INFO, celery_logs.logger.name)
    celery_logs.say("Warm shutdown")

    line = json.loads(stdout())
    assert (line["levelname"], line["message"]) == ("INFO", "Warm shutdown")


def test_handler_of_a_signal_obeys_the_level(stdout, caplog):
    caplog.set_level(logging.WARNING, celery_logs.logger.name)
    celery_logs.say("Warm shutdown")

    assert stdout() == ""


@pytest.mark.parametrize("error", [WorkerLostError("killed"), ValueError("other")])
def test_only_a_lost_task_is_named(caplog, error):
    class Sender:
        name = "apps.users.tasks.slow"

    celery_logs.name_lost_task(Sender, "3f2", error)

    expected = ["Task apps.users.tasks.slow[3f2] lost its process"]
    assert caplog.messages == expected * isinstance(error, WorkerLostError)
