"""The health checks: functions that raise when something fails, listed in HEALTH_CHECKS.

A check has little time, so its module imports all that the check needs, also what a client
would import only when it connects.
"""


class NotReady(Exception):
    """A server answers, but not as required."""
