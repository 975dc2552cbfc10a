"""Run the checks of the setting HEALTH_CHECKS, for /readyz and `manage.py healthcheck`."""

import logging
import threading
import time

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)

TIMEOUT = 3  # seconds, for all checks together


class Run(threading.Thread):
    """One run of one check; `result` is "ok", or why it failed.

    The result names no host and no user, because anyone may request it; the log has the
    details.
    """

    def __init__(self, path, check):
        # A check's name is its function's, without "check_".
        name = path.rpartition(".")[2].removeprefix("check_")
        super().__init__(name=name, daemon=True)
        self.check = check
        self.result = f"failed: no answer in {TIMEOUT} s"

    def run(self):
        try:
            self.check()
            self.result = "ok"
        except (Exception, SystemExit) as error:
            self.result = f"failed: {type(error).__name__}"
            logger.exception("Health check %s failed", self.name)
        finally:
            connections.close_all()


latest: dict[str, Run] = {}
lock = threading.Lock()


def import_checks():
    """Return the checks by their paths; the first import takes long."""
    return {path: import_string(path) for path in settings.HEALTH_CHECKS}


def run_checks():
    """Run all checks at the same time; return their results by name.

    A check that hangs is not started again before it ends, so a server that never
    answers costs one thread, not one for each probe.
    """
    checks = import_checks()
    deadline = time.monotonic() + TIMEOUT
    with lock:
        for path, check in checks.items():
            if path not in latest or not latest[path].is_alive():
                latest[path] = Run(path, check)
                latest[path].start()
        runs = [latest[path] for path in checks]
    for run in runs:
        run.join(max(0, deadline - time.monotonic()))
        if run.is_alive():
            logger.error("Health check %s gave no answer", run.name)
    # The last one counts: of two checks with one name, the one that failed.
    runs.sort(key=lambda run: run.result != "ok")
    return {run.name: run.result for run in runs}
