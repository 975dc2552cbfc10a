"""The health checks: functions that raise when something fails, listed in HEALTH_CHECKS."""


class NotReady(Exception):
    """A server answers, but not as required."""
