"""Reports of errors, to Sentry or a service with its protocol, such as GlitchTip."""

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger

from config.logs import request_id


def report_errors(dsn, *, release, environment):
    """Report the errors of this process, with nothing that identifies a person."""
    ignore_logger("access")  # Its lines have the addresses of clients.
    sentry_sdk.init(
        dsn,
        release=release,
        environment=environment,
        before_send=add_request_id,
        auto_session_tracking=False,
        data_collection={
            "user_info": False,
            "cookies": {"mode": "off"},
            "http_headers": {"request": {"mode": "off"}},
            "http_bodies": [],
            "url_query_params": {"mode": "off"},
            "database_query_data": False,
            "queues": False,
            "stack_frame_variables": False,
        },
    )


def add_request_id(event, hint):
    """Add the id that the lines of the log have."""
    if request_id.get():
        event.setdefault("tags", {})["request_id"] = request_id.get()
    return event
