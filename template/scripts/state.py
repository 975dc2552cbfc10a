"""The folder .services/ with the data and the log of the services, and the locks in it."""

import fcntl
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# One for each environment: servers are recognised by the path of their program.
STATE = Path(sys.prefix).parent / ".services"
ADDRESSES = STATE / "addresses.json"
PATIENCE = 60  # seconds that the services may take to start, and to stop


def lock(name, *, shared=False, wait=True):
    """Return a file descriptor that holds the named lock, or None if it is taken.

    The kernel drops the lock when its last holder ends, however it ends.
    """
    try:
        descriptor = os.open(STATE / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        sys.exit(f"{STATE} belongs to another user: change its owner, or delete it.")
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
