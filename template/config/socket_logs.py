"""The lines that uvicorn logs, such as those of WebSockets."""

import logging


class SocketFilter(logging.Filter):
    """Keep one line for each socket, without its query, which may contain secrets."""

    def filter(self, record):
        record.args = tuple(
            arg.partition("?")[0] if isinstance(arg, str) else arg
            for arg in record.args or ()
        )
        record.__dict__.pop("color_message", None)
        return not record.msg.startswith("connection ")  # repeats the line before


LOGGERS = {
    "uvicorn.error": {"handlers": [], "propagate": True, "filters": [SocketFilter()]},
    # config.middleware logs the requests.
    "uvicorn.access": {"handlers": [], "propagate": False},
}
