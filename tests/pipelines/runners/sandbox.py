"""Run a pipeline's command as if it were alone on this machine, with servers of its own.

Linux namespaces give the command a network in which every port is free, host names that
only it knows, and the end of all its processes with its own. So no run meets another.
Nothing is reachable from inside: what is installed there comes from uv's cache.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.deployment.platforms import STAND_INS
from tests.pipelines.model import PORTS, without_digest
from tests.support.machine import UV
from tests.support.project import clean_environment

INSIDE = Path(__file__).with_name("inside.py")
LOCAL = "127.0.0.1"
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
UNSHARE += ["--pid", "--fork", "--kill-child", "--mount-proc"]


@dataclass
class Service:
    """A server that a pipeline names, and where its jobs find it."""

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
    """How a pipeline ended, each of its jobs too: success, failure or skipped.

    told has what each server was told, and artifacts what the jobs published.
    """

    passed: bool
    results: dict
    logs: dict
    told: dict
    artifacts: Path


@dataclass
class Sandbox:
    """A folder for one run, and the programs of the servers."""

    scratch: Path
    programs: Path
    without: tuple = ()  # the services that are gone
    secrets: dict = field(default_factory=dict)  # of the environments and the registry
    stand_in: Path | None = None  # the folder of a platform that the stand-ins play

    def environment(self, **variables):
        """Return what a job finds: no settings of the user's, but what uv has downloaded."""
        for folder in ("home", "tmp"):
            (self.scratch / folder).mkdir()
        if self.stand_in:
            variables |= {"STAND_IN": str(self.stand_in), "SMOKE_SECONDS": "5"}
            path = variables.get("PATH", os.environ["PATH"])
            variables["PATH"] = os.pathsep.join([str(STAND_INS), path])
        return clean_environment(
            HOME=str(self.scratch / "home"),
            TMPDIR=str(self.scratch / "tmp"),
            UV_CACHE_DIR=ask_uv("cache", "dir"),
            UV_PYTHON_INSTALL_DIR=ask_uv("python", "dir"),
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

    def told(self):
        """Return what each server was told."""
        return {
            file.parent.name: file.read_text() for file in self.scratch.glob("*/told")
        }


def united(services):
    """Return the services by name; jobs that share a name must mean the same."""
    found = {}
    for name, service in services:
        assert found.setdefault(name, service) == service, f"two services named {name}"
    return found


def ask_uv(*question):
    answer = subprocess.run([UV, *question], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def reason_against():
    """Return why no sandbox can run here, or nothing if it can."""
    if not shutil.which("unshare"):
        return "there is no unshare: this is not Linux"
    tried = subprocess.run(
        [*UNSHARE, "mount", "--bind", os.devnull, "/etc/hosts"],
        capture_output=True,
        text=True,
    )
    return (tried.stderr.strip() or "unshare failed") if tried.returncode else ""
