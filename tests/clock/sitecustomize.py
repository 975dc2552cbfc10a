"""What Python runs first, for a delivery to a stand-in: it need not be given time."""

import functools
import time

sleep = time.sleep


@functools.wraps(sleep)
def sleep_less(seconds):
    sleep(seconds / 50)


time.sleep = sleep_less
