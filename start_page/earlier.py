"""Read an earlier version of the template, for the page to compare with.

The builder keeps what it has read of a template, so each version has a process of its own.
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

from start_page.questions import EARLIER
from tests.support.options import TEMPLATE
from tests.support.rendering import SOURCES


def read_earlier(repository, version):
    """Return the questions and files of a version: a tag, a branch or a commit.

    Raises SystemExit with the reason if this builder cannot read it.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = run(version, ["git", "-C", repository, "archive", version, *SOURCES])
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        builder = [sys.executable, "-m", "start_page.data"]
        return json.loads(run(version, builder, **{EARLIER: folder}))


def run(version, command, **variables):
    """Return what a command prints that reads a version."""
    environment = os.environ | variables
    done = subprocess.run(command, cwd=TEMPLATE, env=environment, capture_output=True)
    if done.returncode:
        # Python indents all but the sentence.
        *_, reason = re.findall(r"(?m)^(?:fatal: )?(\S.*)", done.stderr.decode())
        sys.exit(f"The start page cannot compare with {version}: {reason}")
    return done.stdout
