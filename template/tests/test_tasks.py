import uuid
from datetime import timedelta

import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from django.contrib.sessions.models import Session
from django.utils import timezone
from redis import Redis

from apps.health.checks.broker import check_broker
from apps.users.tasks import delete_expired_sessions
from config.celery import app
from config.logs import request_id

TIMEOUT = 60  # seconds, more than a busy machine needs


@pytest.fixture
def sessions(db):
    """Create two sessions that have ended and one that has not."""
    now = timezone.now()
    for days in (-2, -1, 1):
        Session.objects.create(
            session_key=uuid.uuid4().hex, expire_date=now + timedelta(days=days)
        )


@pytest.fixture
def broker(monkeypatch, settings):
    """Send tasks to a worker; then delete what they leave in Redis."""
    check_broker()  # fails immediately, where a worker would retry forever
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    yield
    with app.connection_for_write() as connection:
        for client in (connection.default_channel.client, app.backend.client):
            # Not the client itself, which may add the prefix again.
            redis = Redis(connection_pool=client.connection_pool)
            for key in redis.scan_iter(f"{settings.REDIS_PREFIX}*"):
                redis.delete(key)


def test_task_deletes_only_expired_sessions(sessions):
    assert delete_expired_sessions.delay().get() == 2
    assert Session.objects.count() == 1


def test_scheduled_tasks_exist(settings):
    app.loader.import_default_modules()

    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert names <= app.tasks.keys()


def test_task_is_idempotent(sessions):
    delete_expired_sessions()

    assert delete_expired_sessions() == 0
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_worker_gets_the_task_and_the_id_of_its_request(
    transactional_db, sessions, broker
):
    seen = []

    def note_request_id(**kwargs):
        seen.append(request_id.get())

    signals.task_postrun.connect(note_request_id)
    token = request_id.set("3f2")
    with start_worker(app, perform_ping_check=False, shutdown_timeout=TIMEOUT):
        result = delete_expired_sessions.apply_async(ignore_result=False)
        request_id.reset(token)
        assert result.get(timeout=TIMEOUT) == 2

    assert seen == ["3f2"]
