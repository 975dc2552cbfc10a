"""Run a pipeline's command in Linux namespaces, with servers of its own.

Inside, every port is free, the host names are private, and all processes end with the
command, so that runs do not interfere. There is no network: uv installs from its cache.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.deployment.platforms.base import STAND_INS
from tests.pipelines.model import PORTS, without_digest
from tests.support.machine import UV
from tests.support.project import clean_environment

INSIDE = Path(__file__).with_name("inside.py")
LOCAL = "127.0.0.1"
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
UNSHARE += ["--pid", "--fork", "--kill-child", "--mount-proc"]


@dataclass
class Service:
    """A server that a pipeline names, and the address at which its jobs reach it."""

    image: str
    address: str
    environment: dict
    host: str = "localhost"
    port: int | None = None

    def __post_init__(self):
        self.port = self.port or PORTS[without_digest(self.image)]

    @property
    def kind(self):
        """Return postgres for an image such as docker.io/library/postgres:18@sha256:1."""
        return without_digest(self.image).partition(":")[0].rpartition("/")[2]


@dataclass
class Run:
    """How a pipeline ended, and each of its jobs: success, failure or skipped.

    server_logs has the requests that each server got, artifacts what the jobs published.
    """

    passed: bool
    results: dict
    logs: dict
    server_logs: dict
    artifacts: Path


# Seconds of the smoke test, and of the watch after it
LIMITS = {"SMOKE_SECONDS": "5", "WATCH_SECONDS": "1"}


@dataclass
class Sandbox:
    """A folder for one run, the programs of the servers, and the packages of the jobs."""

    scratch: Path
    programs: Path
    packages: Path  # a cache of uv
    types: Path  # a cache of mypy, with the types of the packages
    without: tuple = ()  # the services that do not start
    secrets: dict = field(default_factory=dict)  # of the environments and the registry
    stand_in: Path | None = None  # the folder of a platform, for its stand-ins
    code_host: Path | None = (
        None  # the folder of a server of tests/support/code_host.py
    )

    def environment(self, **variables):
        """Return a job's variables: no settings of the user's, but uv's Pythons."""
        for folder in ("home", "tmp"):
            (self.scratch / folder).mkdir()
        shutil.copytree(self.types, self.scratch / "types")
        if self.stand_in:
            variables |= {"STAND_IN": str(self.stand_in)} | LIMITS
            path = variables.get("PATH", os.environ["PATH"])
            variables["PATH"] = os.pathsep.join([str(STAND_INS), path])
        return clean_environment(
            HOME=str(self.scratch / "home"),
            TMPDIR=str(self.scratch / "tmp"),
            # Checked by content; without it, each job reads the types of all packages.
            MYPY_CACHE_DIR=str(self.scratch / "types"),
            UV_CACHE_DIR=str(self.packages),
            UV_PYTHON_INSTALL_DIR=python_folder(),
            UV_OFFLINE="1",
            # act gives the steps a terminal, pipelines none: nothing may wait for a key.
            PAGER="cat",
            TERM="dumb",
            **variables,
        )

    def run(self, command, folder, environment, services, timeout=300):
        """Run a command with its services; return its exit code and all that it printed."""
        if self.stand_in:
            given = {"STAND_IN": str(self.stand_in)}
            services = services | {"sites": Service("sites", LOCAL, given, port=8000)}
        if self.code_host:
            given = {"FOLDER": str(self.code_host)}
            services = services | {
                "host": Service("code-host", LOCAL, given, port=8000)
            }
        for name in services:
            (self.scratch / name).mkdir()
        spec = {
            "command": [str(word) for word in command],
            "programs": str(self.programs),
            "scratch": str(self.scratch),
            "services": {
                name: asdict(it) | {"kind": it.kind} for name, it in services.items()
            },
            "without": self.without,
        }
        (self.scratch / "spec.json").write_text(json.dumps(spec))
        return subprocess.run(
            [*UNSHARE, sys.executable, INSIDE, self.scratch / "spec.json"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def server_logs(self):
        """Return the requests that each server got."""
        return {
            file.parent.name: file.read_text()
            for file in self.scratch.glob("*/server.log")
        }


def merge_services(services):
    """Return the services by name; two jobs cannot have different ones of a name."""
    found = {}
    for name, service in services:
        assert found.setdefault(name, service) == service, f"two services named {name}"
    return found


@functools.cache
def python_folder():
    """Return the folder of the Pythons that uv has installed."""
    uv = [UV, "python", "dir"]
    done = subprocess.run(uv, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def reason_against():
    """Return why no sandbox can run here, or an empty text if it can."""
    if not shutil.which("unshare"):
        return "there is no unshare: this is not Linux"
    tried = subprocess.run(
        [*UNSHARE, "mount", "--bind", os.devnull, "/etc/hosts"],
        capture_output=True,
        text=True,
    )
    return (tried.stderr.strip() or "unshare failed") if tried.returncode else ""
