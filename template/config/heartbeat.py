"""A file whose age shows whether a worker is alive: deploy/kubernetes/base/worker.yaml.

A worker loads this module because of its option --include.
"""

import tempfile
from pathlib import Path

from celery import signals

HEARTBEAT = Path(tempfile.gettempdir(), "heartbeat")


# A container that restarts finds the old file, and may have to wait for its broker.
@signals.worker_init.connect
@signals.heartbeat_sent.connect
def touch_heartbeat(**kwargs):
    HEARTBEAT.touch()
