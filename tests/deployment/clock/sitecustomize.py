"""What Python runs first, for a delivery to a stand-in: it need not be given time."""

import time

sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 50)
