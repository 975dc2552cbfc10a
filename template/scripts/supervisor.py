"""Run the embedded servers. Only scripts/services.py starts this.

The servers stop when no command has used them for IDLE seconds, so a killed command
leaves none behind. The database stays in .services/ until that folder is deleted.

python -m scripts.supervisor end-leftovers       end the servers of a killed supervisor
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

import psutil

from scripts.servers import Unavailable, find_addresses, load
from scripts.state import ADDRESSES, PATIENCE, SOCKETS, STATE, lock

IDLE = 10  # seconds
# Loaded before root becomes nobody, who may not be able to read these modules.
SERVERS = load("embedded")


def main():
    # A signal ends the process through the `with` below, which stops the servers.
    signal.signal(signal.SIGTERM, end)
    clean_environment()
    end_leftovers()
    delete_sockets()
    SOCKETS.mkdir(mode=0o700)
    if os.geteuid() == 0:
        leave_root()
    with contextlib.ExitStack() as stack:
        stack.callback(delete_sockets)
        processes = []
        problems: dict[str, str] = {}
        for package, server in zip(load(), SERVERS, strict=True):
            try:
                processes.append(stack.enter_context(run(server, SOCKETS)))
            except Unavailable as problem:
                problems |= dict.fromkeys(package.VARIABLES, str(problem))
        stack.callback(ADDRESSES.unlink, missing_ok=True)
        publish({"addresses": find_addresses(), "problems": problems})
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
    Without namespaces, as on macOS and in most containers, become the user nobody. A
    container may forbid that, too: then this stays root, and only PostgreSQL is missing.
    """
    # A container may forbid it. The files may belong to the right user already.
    with contextlib.suppress(OSError):
        give_state_to(0)
    with contextlib.suppress(AttributeError, OSError):
        os.unshare(os.CLONE_NEWUSER)
        return
    with contextlib.suppress(KeyError, OSError):
        become(pwd.getpwnam("nobody"))


def become(user):
    """Become a user, if that one can use the files; else stay root."""
    give_state_to(user.pw_uid)
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    if os.access(STATE, os.W_OK, effective_ids=True):
        os.seteuid(0)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    else:
        os.seteuid(0)
        give_state_to(0)


def give_state_to(user):
    """Make the user the owner of everything in .services/, and of the sockets."""
    for path in [SOCKETS, STATE, *STATE.rglob("*")]:
        os.chown(path, user, -1, follow_symlinks=False)


def delete_sockets():
    shutil.rmtree(SOCKETS, ignore_errors=True)


@contextlib.contextmanager
def run(server, folder):
    """Run a server, with its socket in the folder; yield its process when it is ready."""
    command = server.command(folder)
    process = subprocess.Popen(command)
    try:
        while not server.is_ready(folder):
            if process.poll() is not None:
                code = process.returncode
                sys.exit(f"{command[0].name} ended with exit code {code}.")
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
        end_leftover(server.PID_FILE)


def end_leftover(pid_file):
    """End the server of a killed supervisor, and delete a misleading pid file.

    A file that names no process stays: it names the memory that PostgreSQL checks for
    processes of the dead server, before it writes to the same data.
    """
    not_ours = (psutil.AccessDenied, psutil.ZombieProcess)
    try:
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError, *not_ours):
            process = psutil.Process(int(pid_file.read_text().split()[0]))
            # PostgreSQL's command line has the folder of its data.
            while {str(pid_file), str(pid_file.parent)} & {*process.cmdline()}:
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
