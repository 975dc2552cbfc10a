"""Shorten every sleep of a deployment to a stand-in, which needs no time."""

import time

sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 50)
