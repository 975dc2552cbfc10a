import uuid
from importlib import import_module

from config.celery import app

# Imports the client of the broker.
app.connection_for_write().get_transport_cls()
import_module("kombu.simple")


def check_broker():
    # A queue of its own: a task run eagerly would never reach the broker.
    name = f"health-{uuid.uuid4()}"
    with app.connection_for_write() as broker, broker.SimpleBuffer(name) as buffer:
        try:
            buffer.put(name)
            buffer.get_nowait()
        finally:
            buffer.queue.delete()
