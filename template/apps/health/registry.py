import logging
import threading
import time

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)

TIMEOUT = 3
"""Seconds that all checks together may take."""

_latest = {}
"""The latest run of each check, by its name."""


class Check(threading.Thread):
    """One run of one check; `result` is "ok", or why it failed.

    The result names no host and no user, for anyone may ask; the log has the details.
    """

    def __init__(self, name, path):
        super().__init__(name=name, daemon=True)
        self.path = path
        self.result = f"failed: no answer in {TIMEOUT} s"

    def run(self):
        try:
            import_string(self.path)()
            self.result = "ok"
        except Exception as error:
            self.result = f"failed: {type(error).__name__}"
            logger.exception("Health check %s failed", self.name)
        finally:
            connections.close_all()


def run_checks():
    """Run settings.HEALTH_CHECKS side by side; return their results by name.

    A check that hangs is left behind, and not started again before it ends: a server
    that never answers costs one thread, not one for each probe.
    """
    deadline = time.monotonic() + TIMEOUT
    for name, path in settings.HEALTH_CHECKS.items():
        if name not in _latest or not _latest[name].is_alive():
            _latest[name] = Check(name, path)
            _latest[name].start()
    checks = [_latest[name] for name in settings.HEALTH_CHECKS]
    for check in checks:
        check.join(max(0, deadline - time.monotonic()))
    return {check.name: check.result for check in checks}
