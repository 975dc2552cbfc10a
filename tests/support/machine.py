"""The programs of this machine, and the end of a test that needs one it does not have."""

import functools
import os
import shutil
import subprocess

import pytest

from tests.support.options import TEMPLATE

UV = shutil.which("uv") or str(TEMPLATE / ".tools/bin/uv")


def link_programs(folder, names):
    """Link these programs of this machine into a new folder; return it, to be the PATH."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


@functools.cache
def python_version(version):
    """Return the whole version of this machine's Python of a version, or an empty text."""
    # A shim of pyenv is there for versions that are not.
    if program := shutil.which(f"python{version}"):
        done = subprocess.run([program, "--version"], capture_output=True, text=True)
        return done.stdout.strip()
    return ""


def make_certificate(folder):
    """Make a certificate for localhost, which is its own authority; return its path.

    The key is the file `ca.key` next to it.
    """
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"]
        + ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", "ca.key", "-out", "ca.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "ca.pem"


def find_chromium():
    """Return the path of this machine's Chromium; give the test up if there is none."""
    found = shutil.which("chromium")
    return found or give_up("the tests in a browser need chromium (Debian: chromium)")


def give_up(reason):
    """Skip the test. In a pipeline that is a failure, so that everything is tested there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
