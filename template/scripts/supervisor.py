"""Run the embedded servers. Only scripts/services.py starts this.

The servers stop when no command has used them for IDLE seconds, so a killed command
leaves none behind. The database stays in .services/ until that folder is deleted.

python -m scripts.supervisor end-leftovers       end the servers of a killed supervisor
"""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from scripts.servers import load
from scripts.state import ADDRESSES, PATIENCE, STATE, lock

IDLE = 10  # seconds
# Loaded before root becomes nobody, who may not be able to read these modules.
SERVERS = load("embedded")


def main():
    # A signal ends the process through the `with` below, which stops the servers.
    signal.signal(signal.SIGTERM, end)
    clean_environment()
    end_leftovers()
    if os.geteuid() == 0:
        leave_root()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(socket_folder()))
        processes = [stack.enter_context(run(server, folder)) for server in SERVERS]
        stack.callback(ADDRESSES.unlink, missing_ok=True)
        publish(
            {
                name: value.format(folder=folder)
                for server in load()
                for name, value in server.VARIABLES.items()
            }
        )
        wait_for_end(processes)


def end(*_):
    """End the process, once: later signals are ignored while the servers stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("Ended by a signal.")


def clean_environment():
    """Remove the variables that would mislead the servers or our connections to them."""
    for name in list(os.environ):
        if name.startswith("PG"):
            del os.environ[name]
    # PostgreSQL refuses to start in a locale that the machine lacks.
    os.environ["LC_ALL"] = "C"


def leave_root():
    """Stop being root, because PostgreSQL refuses to run as root.

    In a user namespace of its own, root has no privileges and still owns its files.
    Without namespaces, as on macOS and in most containers, become the user nobody.
    """
    give_state_to(0)
    with contextlib.suppress(AttributeError, OSError):
        os.unshare(os.CLONE_NEWUSER)
        return
    nobody = pwd.getpwnam("nobody")
    give_state_to(nobody.pw_uid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def give_state_to(user):
    """Make the user the owner of everything in .services/."""
    for path in [STATE, *STATE.rglob("*")]:
        os.chown(path, user, -1, follow_symlinks=False)


def socket_folder():
    """Return a private folder with a short path: a socket's has at most 103 characters."""
    parent = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(
        dir=parent if len(parent) < 60 else "/tmp",
        prefix="services-",
        ignore_cleanup_errors=True,
    )


@contextlib.contextmanager
def run(server, folder):
    """Run a server, with its socket in the folder; yield its process when it is ready."""
    process = subprocess.Popen(server.command(folder))
    try:
        while not server.is_ready(folder):
            if process.poll() is not None:
                code = process.returncode
                sys.exit(f"{server.PROGRAM.name} ended with exit code {code}.")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # ends the connections, loses nothing
        process.wait(PATIENCE)


def publish(addresses):
    """Write the file that shows that the services are ready, completely or not at all."""
    draft = ADDRESSES.with_suffix(".draft")
    draft.write_text(json.dumps(addresses))
    draft.replace(ADDRESSES)


def wait_for_end(processes):
    """Return when no command has used the services for a while, or when one has ended.

    `services.py stop` deletes the addresses, which also ends them.
    """
    last_use = time.monotonic()
    while ADDRESSES.exists() and all(process.poll() is None for process in processes):
        time.sleep(0.2)
        unused = lock("users", wait=False)
        if unused is None:
            last_use = time.monotonic()
        elif time.monotonic() > last_use + IDLE:
            return  # Keeps the lock, so that a command that starts now waits for the end.
        else:
            os.close(unused)


def end_leftovers():
    """End the servers that a killed supervisor has left running."""
    for server in SERVERS:
        end_leftover(server.PROGRAM, server.PID_FILE)


def end_leftover(program, pid_file):
    """End the server of a killed supervisor, and delete a misleading pid file.

    A file that names no process stays: it names the memory that PostgreSQL checks for
    processes of the dead server, before it writes to the same data.
    """
    not_ours = (psutil.AccessDenied, psutil.ZombieProcess)
    try:
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError, *not_ours):
            process = psutil.Process(int(pid_file.read_text().split()[0]))
            while process.cmdline()[:1] == [str(program)]:
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
    except psutil.NoSuchProcess:
        return
    pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["end-leftovers"]:
        end_leftovers()
    else:
        main()
