import uuid
from datetime import timedelta

import pytest
from celery.contrib.testing.worker import start_worker
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.health.checks.broker import check_broker
from apps.users.tasks import delete_expired_sessions
from config.celery import app

TIMEOUT = 60  # seconds, more than a busy machine needs


@pytest.fixture
def sessions(db):
    """Create two sessions that have ended and one that has not."""
    now = timezone.now()
    for days in (-2, -1, 1):
        Session.objects.create(
            session_key=uuid.uuid4().hex, expire_date=now + timedelta(days=days)
        )


def test_task_deletes_only_expired_sessions(sessions):
    assert delete_expired_sessions.delay().get() == 2
    assert Session.objects.count() == 1


def test_task_is_idempotent(sessions):
    delete_expired_sessions()

    assert delete_expired_sessions() == 0
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_worker_gets_the_task_from_the_broker(transactional_db, sessions, monkeypatch):
    check_broker()  # fails immediately, where a worker would retry forever
    queue = f"test-{uuid.uuid4()}"
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    worker = start_worker(
        app, perform_ping_check=False, queues=[queue], shutdown_timeout=TIMEOUT
    )
    with worker:
        result = delete_expired_sessions.apply_async(queue=queue)
        assert result.get(timeout=TIMEOUT) == 2
