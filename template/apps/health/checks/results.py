import uuid

from apps.health.checks import NotReady
from config.celery import app

# Imports the client of the results.
backend = app.backend


def check_results():
    name = f"health-{uuid.uuid4()}"
    app.backend.store_result(name, name, "SUCCESS")
    try:
        # get_task_meta() would keep a copy, and warn where tasks run eagerly.
        if app.backend._get_task_meta_for(name)["result"] != name:
            raise NotReady("the results of tasks are lost")
    finally:
        app.backend.forget(name)
