"""Wait for something that another process does."""

import time


def wait_until(condition, seconds=60, reason=lambda: "it took too long"):
    """Return what the condition returns, once that is true; fail after so many seconds.

    `reason` is called for the message of the failure.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, reason()
        time.sleep(0.05)
    return value
