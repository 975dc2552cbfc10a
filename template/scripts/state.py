"""The folders of the services: .services/ with data, log and locks, and one with sockets."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import stat
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# One for each environment in the project: servers are recognised by their program's path.
ENVIRONMENT = Path(sys.prefix).parent.resolve()
STATE = (ENVIRONMENT if ENVIRONMENT.is_relative_to(ROOT) else ROOT) / ".services"
# The path of a socket has at most 103 characters, and an editor may keep this one.
USER = os.getuid()
SOCKETS = Path(f"/tmp/services-{USER}-{hashlib.sha256(bytes(STATE)).hexdigest()[:12]}")
# It exists while the services can be used.
ADDRESSES = STATE / "addresses.json"
PATIENCE = 60  # seconds that the services may take to start, and to stop


def lock(name, *, shared=False, wait=True):
    """Return a file descriptor that holds the named lock, or None if it is taken.

    The kernel drops the lock when its last holder ends, however it ends.
    """
    try:
        STATE.mkdir(exist_ok=True)
        descriptor = os.open(STATE / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        sys.exit(f"{STATE} belongs to another user: change its owner, or delete it.")
    except OSError as error:
        sys.exit(
            f"The folder {STATE} cannot be used ({error.strerror}): delete what is there, "
            "or use a copy of the project that you can write to."
        )
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def check_sockets():
    """Exit if another user has made the folder of the sockets, to read what we send."""
    owners = {USER}
    if USER == 0:  # Its servers may run as the user nobody.
        owners |= {user.pw_uid for user in pwd.getpwall() if user.pw_name == "nobody"}
    with contextlib.suppress(FileNotFoundError):
        found = SOCKETS.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
            sys.exit(f"{SOCKETS} belongs to another user. Delete it, then try again.")
