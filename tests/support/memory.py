"""The temporary files of the tests are in memory, if the machine has room for them.

A pytest plugin. A test run creates and removes so many files that a disk's file system
takes up to a third of its CPU time.
"""

import os
import tempfile

FOLDER = "/dev/shm"  # Linux keeps it in memory.
NEEDED = 4 * 1024**3  # bytes, also for the folders of failed tests, which stay


def pytest_configure():
    """Move the temporary folder, unless TMPDIR is set. Test workers inherit that."""
    if "TMPDIR" not in os.environ and (folder := folder_in_memory()):
        os.environ["TMPDIR"] = tempfile.tempdir = folder


def folder_in_memory(folder=FOLDER, needed=NEEDED):
    """Return the folder if programs can run there and it has this room, or None."""
    if not os.access(folder, os.W_OK):
        return None
    found = os.statvfs(folder)
    has_room = found.f_bavail * found.f_frsize >= needed
    return folder if has_room and not found.f_flag & os.ST_NOEXEC else None
