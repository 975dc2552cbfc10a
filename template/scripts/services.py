"""Run a command with real servers.

python -m scripts.services run COMMAND...   with the services in its environment
python -m scripts.services up               keep the services until Ctrl-C
python -m scripts.services stop             stop them immediately

Servers named in the environment or in .env are used. The others are embedded servers,
which scripts/supervisor.py starts, shares between commands, and stops.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

from scripts.env_file import read_env_file
from scripts.servers import find_addresses, load
from scripts.state import (
    ADDRESSES,
    PATIENCE,
    ROOT,
    SOCKETS,
    STATE,
    check_sockets,
    lock,
)

LOG = STATE / "log"
# A debugger that follows Python processes would end the servers with the program: `sh` hides them.
SUPERVISOR = ["/bin/sh", "-c", 'exec "$0" -m scripts.supervisor "$@"', sys.executable]

FAILURE = f"""
The services did not start; the log above, from {LOG}, shows why.
If the data are damaged, move {STATE / "postgres"} away: the next run creates them again."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["run", "up", "stop"])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.action == "run" and not options.command:
        parser.error("run needs a command")

    # Ctrl-C ends this without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.action == "stop":
        stop()
        return
    names = provide()
    if options.action == "up":
        for name in names:
            print(f"export {name}='{os.environ[name]}'")
        print("Running until Ctrl-C.", flush=True)
        signal.pause()
    os.execvp(options.command[0], options.command)


def provide():
    """Start the embedded servers where the environment names no others.

    They run until a few seconds after this process has ended. Returns the names of their
    variables; exits if they do not start.
    """
    names = set_addresses()
    if names:
        start(names)
    return names


def set_addresses():
    """Set the variables that name the embedded servers; return the names of those set."""
    read_env_file()
    names = [name for server in load() for name in server.find_missing()]
    if names:
        check_sockets()
        addresses = find_addresses()
        os.environ.update({name: addresses[name] for name in names})
    return names


def start(names):
    """Start the servers, unless they run; exit if one that has these variables cannot.

    The supervisor watches the lock "users", which the kernel drops with its last holder:
    this process, or the command that it becomes.
    """
    os.set_inheritable(lock("users", shared=True), True)
    starting = lock("starting")
    deadline = time.monotonic() + PATIENCE
    spawned = 0
    while True:
        supervisor = lock("supervisor", wait=False)
        if supervisor is None and have_these_addresses():
            break
        # The first start may fail while the last process of a dead server still ends.
        if (supervisor is not None and spawned == 2) or time.monotonic() > deadline:
            sys.exit(LOG.read_text(errors="replace") + FAILURE)
        if supervisor is not None:
            spawn(supervisor)
            spawned += 1
        time.sleep(0.02)
    os.close(starting)
    problems = json.loads(ADDRESSES.read_text())["problems"]
    if absent := [problems[name] for name in names if name in problems]:
        sys.exit("\n".join(dict.fromkeys(absent)))


def have_these_addresses():
    """Return whether the servers have started. Stop those with other addresses."""
    if not ADDRESSES.exists():
        return False
    addresses = json.loads(ADDRESSES.read_text()).get("addresses")
    # Something may have emptied /tmp.
    if addresses == find_addresses() and SOCKETS.exists():
        return True
    ADDRESSES.unlink(missing_ok=True)
    return False


def spawn(supervisor_lock):
    """Start the supervisor, and pass it the lock that shows that it runs."""
    ADDRESSES.unlink(missing_ok=True)
    with LOG.open("w") as log:
        supervisor = subprocess.Popen(
            SUPERVISOR,
            cwd=ROOT,
            pass_fds=[supervisor_lock],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(supervisor_lock)
    supervisor.returncode = 0  # It outlives this process, which must not warn of that.


def stop():
    """Stop the supervisor, and end what a killed one has left running."""
    lock("starting")
    ADDRESSES.unlink(missing_ok=True)  # The supervisor ends when this file is gone.
    lock("supervisor")
    subprocess.run([*SUPERVISOR, "end-leftovers"], cwd=ROOT, check=True)


def wait_for_turn():
    """Wait while another process uses the project's test database, then keep it."""
    if lock("turn", wait=False) is None:
        print("Waiting for other tests of this project.", file=sys.stderr)
        lock("turn")


if __name__ == "__main__":
    main()
