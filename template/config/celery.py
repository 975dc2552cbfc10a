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
    if not task.request.is_eager:  # A worker's process runs many tasks.
        request_id.set(task.request.get("request_id") or "")
