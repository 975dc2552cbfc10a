"""The packages that the jobs of a pipeline install, with their bytecode.

uv links all files of an unpacked package, so that jobs need not compile it again. That
takes a cache of our own, as the user's cache stays as it is. `.cache/packages` keeps it
between runs, and can be deleted at any time.
"""

import compileall
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile

from tests.support.cache import CACHE
from tests.support.environments import uv_version
from tests.support.machine import UV

# Of the test environment: it is there, and has the same bytecode.
PYTHON = "{}.{}".format(*sys.version_info)


def copy_packages(pins, folder):
    """Copy a cache of uv that has the packages of a lock file into a new folder.

    Jobs write to the copy. Raises CalledProcessError if uv cannot download a package.
    """
    parts = repr((pins.read_text(), uv_version(), sys.version))
    kept = CACHE / "packages" / hashlib.sha256(parts.encode()).hexdigest()
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "compiled").exists():
            with tempfile.TemporaryDirectory() as programs:
                install(pins, kept, programs)
            # uv installs a folder of scripts only if it has no other folder.
            compileall.compile_dir(kept, rx=re.compile(r"\.data/scripts/"), quiet=2)
            (kept / "compiled").touch()
    # The copy has the times of the files, by which Python knows that its bytecode is new.
    shutil.copytree(kept, folder, symlinks=True)


def install(pins, cache, folder):
    """Install the packages of a lock file into a folder, from a cache of uv."""
    uv = [UV, "pip", "sync", "--quiet", "--cache-dir", cache, "--python", PYTHON]
    subprocess.run([*uv, "--target", folder, "--require-hashes", pins], check=True)
