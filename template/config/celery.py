"""The Celery application. DJANGO_SETTINGS_MODULE defaults to production."""

import os

from celery import Celery, signals

from config.logs import request_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.before_task_publish.connect
def send_request_id(headers, **kwargs):
    headers["request_id"] = request_id.get()


@signals.task_prerun.connect
def receive_request_id(task, **kwargs):
    # A worker replaces the id of its last task; an eager task keeps that of its caller.
    if not task.request.is_eager:
        request_id.set(task.request.get("request_id") or "")
