"""The logs of all processes in production, as JSON on standard output."""

import logging
from contextvars import ContextVar
from typing import Any

from environs import validate
from pythonjsonlogger.core import RESERVED_ATTRS

from config.env import env

is_level = validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])

# The id of the request for which this code runs.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestIdFilter(logging.Filter):
    """Add the id of its request to each line."""

    def filter(self, record):
        if request_id.get():
            record.request_id = request_id.get()
        return True


# The parts of LOGGING that production adds to those of base; Gunicorn adds the version.
LOGGING: dict[str, dict[str, Any]] = {
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(levelname)s %(name)s %(message)s",
            "timestamp": True,  # in UTC, whatever the zone of the machine
            # Django passes the request, with its query.
            "reserved_attrs": [*RESERVED_ATTRS, "request"],
        },
    },
    "filters": {"request_id": {"()": RequestIdFilter}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": "json",
            "stream": "ext://sys.stdout",
        },
    },
    "root": {
        "handlers": ["stdout"],
        "level": env.str("LOG_LEVEL", default="INFO", validate=is_level),
    },
    "loggers": {
        # Django's own handlers would send mail to ADMINS and print in another format.
        "django": {"handlers": [], "level": "NOTSET"},
        # config.middleware logs each request, also those with a status below 500
        "django.request": {"level": "ERROR"},
        # or with a host that is not allowed.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "gunicorn.access": {"handlers": [], "propagate": False},
        "gunicorn.error": {"handlers": [], "level": "NOTSET", "propagate": True},
    },
}
