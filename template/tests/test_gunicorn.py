import json
import logging
from importlib import import_module

import pytest
from pythonjsonlogger.json import JsonFormatter

from config import gunicorn, logs


def test_gunicorn_finds_the_application():
    assert import_module(gunicorn.wsgi_app).application


@pytest.mark.django_db
def test_error_is_logged_without_its_query(client, caplog):
    client.get("/nowhere?token=1")

    (record,) = [it for it in caplog.records if it.name == "django.request"]
    formatter = logs.LOGGING["formatters"]["json"]
    options = {"reserved_attrs": formatter["reserved_attrs"]}
    line = JsonFormatter(formatter["fmt"], **options).format(record)
    assert "/nowhere" in line
    assert "token" not in line


def test_access_log_is_json_without_the_query():
    atoms = {"m": "GET", "U": "/reset", "q": "token=1", "s": "200", "M": 12}
    record = logging.makeLogRecord({"name": "gunicorn.access", "args": atoms})

    line = logs.AccessFormatter("%(name)s").format(record)

    assert json.loads(line) == {
        "name": "gunicorn.access",
        "method": "GET",
        "path": "/reset",
        "status": 200,
        "milliseconds": 12,
    }
