"""The logs of Celery's processes in production, which look like all others."""

import logging
import os

from billiard.exceptions import WorkerLostError
from celery import current_app, signals
from celery.utils.log import get_multiprocessing_logger

logger = logging.getLogger("celery.apps.worker")


def keep_logs():
    """Let Celery's processes log as the settings say, whatever their --loglevel is."""
    signals.setup_logging.connect(take_over)
    signals.task_failure.connect(name_lost_task)


def take_over(**kwargs):
    """Replace what Celery sets: handlers in its own format, and levels."""
    from celery.apps import worker  # Slow to import, and of no use to a web server

    worker.safe_say = say
    pool = get_multiprocessing_logger()
    pool.propagate = True
    pool.setLevel(logging.ERROR)
    # What tasks print
    current_app.log.redirect_stdouts("WARNING")


def say(message, file=None):
    """Write a line without the locks of a logger, as a signal may interrupt another."""
    if logger.isEnabledFor(logging.INFO):
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None)
        handler = logging.getLogger().handlers[0]
        os.write(1, f"{handler.format(record)}\n".encode())


def name_lost_task(sender, task_id, exception, **kwargs):
    """Name a task whose process was killed: Celery's own line does not."""
    if isinstance(exception, WorkerLostError):
        logger.error("Task %s[%s] lost its process", sender.name, task_id)
