from config.celery import app

# Imports the client of the broker.
app.connection_for_write().get_transport_cls()


def check_broker():
    # Connects to the broker itself: a task run eagerly would never reach it.
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
