"""Download the platform's command line, and install it if it is the pinned release.

python3 deploy/install_cli.py PROGRAM URL SHA256 [MEMBER]

PROGRAM is the file to install, MEMBER its name in the archive, if URL is one. The program
gets the keys of production, so nothing is installed without the right checksum.
"""

import hashlib
import http.client
import platform
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

TRIES = 4
PAUSE = 1  # seconds before the next try
REQUEST = 60  # seconds without a byte
NO_ANSWER = (OSError, http.client.HTTPException)


def main():
    path, url, checksum, *members = sys.argv[1:]
    program = Path(path)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit(f"Install {program.name}: it is downloaded for Linux on x86-64 only.")
    try:
        content = download(url)
    except NO_ANSWER as error:
        sys.exit(
            f"Install {program.name}, or connect to the network, then run make again."
            f" ({error})"
        )
    if hashlib.sha256(content).hexdigest() != checksum:
        sys.exit(
            f"Checksum mismatch: the downloaded {program.name} is not the pinned release."
        )
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent.parent) as folder:
        file = Path(folder, url.rpartition("/")[2])
        file.write_bytes(content)
        if members:
            shutil.unpack_archive(file, folder)
            file = Path(folder, *members)
        file.chmod(0o755)
        file.touch()  # An archive keeps the time of its build, which is before any pin.
        file.replace(program)  # At once: half a program is never there.


def download(url):
    """Return what is at an address; a network that fails is tried again."""
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(url, timeout=REQUEST) as response:
                return response.read()
        except NO_ANSWER:
            if not left:
                raise
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
