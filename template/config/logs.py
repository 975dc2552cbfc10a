"""The logs of all processes in production, as JSON on standard output."""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter


class AccessFormatter(JsonFormatter):
    """Write a line for each response, without the query, which may contain secrets."""

    def add_fields(self, log_data, record, message_dict):
        super().add_fields(log_data, record, message_dict)
        log_data |= {
            "method": record.args["m"],
            "path": record.args["U"],
            "status": int(record.args["s"]),
            "milliseconds": record.args["M"],
        }


FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": FIELDS,
            # Django passes the request, with its query.
            "reserved_attrs": [*RESERVED_ATTRS, "request"],
        },
        "access": {"()": "config.logs.AccessFormatter", "fmt": "%(asctime)s %(name)s"},
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "stream": "ext://sys.stdout",
        },
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "stream": "ext://sys.stdout",
        },
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
    "loggers": {
        # Django's own handlers would send mail to ADMINS and print in another format.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "gunicorn.access": {"handlers": ["access"], "propagate": False},
        "gunicorn.error": {"handlers": [], "propagate": True},
    },
}
