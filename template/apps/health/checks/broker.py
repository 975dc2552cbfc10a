from config.celery import app


def check_broker():
    # Connects to the broker itself: a task run eagerly would never reach it.
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
