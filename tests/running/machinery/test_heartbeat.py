import re
from pathlib import Path

import pytest
from celery import beat, signals

from config import heartbeat

MANIFESTS = Path("deploy/kubernetes/base")


@pytest.mark.parametrize("signal", [signals.worker_init, signals.heartbeat_sent])
def test_start_and_each_heartbeat_touch_the_file(monkeypatch, tmp_path, signal):
    monkeypatch.setattr(heartbeat, "HEARTBEAT", tmp_path / "heartbeat")

    signal.send(sender=None)

    assert (tmp_path / "heartbeat").exists()


def test_beat_saves_its_schedule_more_often_than_its_probe_expects():
    limit = re.search(r"-mmin -(\d+)", (MANIFESTS / "beat.yaml").read_text())[1]

    # It saves when it wakes up, if the last time is long enough ago.
    longest = (
        beat.PersistentScheduler.sync_every + beat.PersistentScheduler.max_interval
    )
    assert longest < 60 * int(limit)
