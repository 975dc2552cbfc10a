"""Write the lock files of the platforms' command lines that come from npm.

`make lock` runs this, after requirements.jinja. npm resolves each package.json again, with
versions that are at least seven days old. A lock file has the hash of each package, but no
address of a registry, so every registry serves it.
"""

import json
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.node import NODE, NPM
from tests.support.options import TEMPLATE

LOCKS = sorted((TEMPLATE / "template/deploy").glob("*/package-lock.json"))
MIN_AGE = timedelta(days=7)
# What npm ci does not read
UNUSED = {"engines", "extraneous", "funding", "license"}


def main():
    for path in LOCKS:
        path.write_text(compact(resolve(path.with_name("package.json"))))


def resolve(manifest):
    """Return the lock file that npm makes for a package.json."""
    before = (datetime.now(UTC) - MIN_AGE).strftime("%Y-%m-%d")
    options = [f"--before={before}", "--package-lock-only", "--ignore-scripts"]
    options += ["--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "package.json").write_text(manifest.read_text())
        subprocess.run([NODE, NPM, "install", *options], cwd=folder, check=True)
        return json.loads(Path(folder, "package-lock.json").read_text())


def compact(lock):
    """Return a lock file with a line for each package, and only what npm ci reads."""
    packages = ",\n".join(
        f"{json.dumps(place)}: "
        + json.dumps({key: it for key, it in package.items() if key not in UNUSED})
        for place, package in lock["packages"].items()
    )
    version = lock["lockfileVersion"]
    return f'{{"lockfileVersion": {version}, "packages": {{\n{packages}\n}}}}\n'


if __name__ == "__main__":
    main()
