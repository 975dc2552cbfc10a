"""Shorten every sleep of a deployment to a stand-in, and answer for Heroku's API."""

import os
import time

sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 50)

if "HEROKU_API_KEY" in os.environ:
    import heroku_api

    heroku_api.install()
