"""Download the platform's command line, and install it if its checksum is the pinned one.

python3 deploy/install_cli.py PROGRAM URL SHA256 [MEMBER]

PROGRAM is the file to install. If URL is an archive, MEMBER is the program's name in it.
The checksum is required because the program gets the keys of production.
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
PAUSE = 1  # seconds between two tries
TIMEOUT = 60  # seconds without a byte
DOWNLOAD_ERRORS = (OSError, http.client.HTTPException)


def main():
    path, url, checksum, *members = sys.argv[1:]
    program = Path(path)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit(f"Install {program.name}: make downloads it for Linux on x86-64 only.")
    try:
        content = download(url)
    except DOWNLOAD_ERRORS as error:
        sys.exit(
            f"Could not download {program.name} ({error})."
            " Install it, or connect to the network and run make again."
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
        file.touch()  # An archive keeps the time of the build, which is older than the pin.
        file.replace(program)  # Atomic, so that no partial program is ever installed.


def download(url):
    """Return the content of a URL; try again after a network error."""
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                return response.read()
        except DOWNLOAD_ERRORS:
            if not left:
                raise
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
