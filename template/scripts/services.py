"""Run a command with real servers.

python -m scripts.services run COMMAND...        with the services in its environment
python -m scripts.services run-alone COMMAND...  when no other command does the same
python -m scripts.services up                    keep the services until Ctrl-C
python -m scripts.services stop                  stop them immediately

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

from dotenv import load_dotenv

from scripts.servers import load
from scripts.state import ADDRESSES, PATIENCE, ROOT, STATE, lock

LOG = STATE / "log"
SUPERVISOR = [sys.executable, "-m", "scripts.supervisor"]

FAILURE = f"""
The services did not start; the log above, from {LOG}, shows why.
If the data are damaged, move {STATE / "postgres"} away: the next run creates them again."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["run", "run-alone", "up", "stop"])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.action.startswith("run") and not options.command:
        parser.error(f"{options.action} needs a command")

    # Ctrl-C ends this without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    STATE.mkdir(exist_ok=True)
    if options.action == "stop":
        stop()
        return
    load_dotenv(ROOT / ".env")
    missing = [name for server in load() for name in server.find_missing()]
    if missing:
        os.environ.update(start(missing))
    if options.action == "up":
        for name in missing:
            print(f"export {name}='{os.environ[name]}'")
        print("Running until Ctrl-C.", flush=True)
        signal.pause()
    if options.action == "run-alone":
        wait_for_turn()
    os.execvp(options.command[0], options.command)


def start(names):
    """Return the values of the named variables for the embedded servers, and start those.

    They run until a few seconds after this process, or the one it becomes, has ended:
    the supervisor watches the lock "users", which the kernel drops with its holder.
    """
    os.set_inheritable(lock("users", shared=True), True)
    starting = lock("starting")
    deadline = time.monotonic() + PATIENCE
    spawned = 0
    while True:
        supervisor = lock("supervisor", wait=False)
        if supervisor is None and ADDRESSES.exists():
            break
        # The first start may fail while the last process of a dead server still ends.
        if (supervisor is not None and spawned == 2) or time.monotonic() > deadline:
            sys.exit(LOG.read_text(errors="replace") + FAILURE)
        if supervisor is not None:
            spawn(supervisor)
            spawned += 1
        time.sleep(0.02)
    published = json.loads(ADDRESSES.read_text())
    os.close(starting)
    problems = published["problems"]
    if absent := [problems[name] for name in names if name in problems]:
        sys.exit("\n".join(dict.fromkeys(absent)))
    return {name: published["addresses"][name] for name in names}


def spawn(supervisor_lock):
    """Start the supervisor, and pass it the lock that shows that it runs."""
    ADDRESSES.unlink(missing_ok=True)
    with LOG.open("w") as log:
        subprocess.Popen(
            SUPERVISOR,
            cwd=ROOT,
            pass_fds=[supervisor_lock],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(supervisor_lock)


def stop():
    """Stop the supervisor, and end what a killed one has left running."""
    lock("starting")
    ADDRESSES.unlink(missing_ok=True)  # The supervisor ends when this file is gone.
    lock("supervisor")
    subprocess.run([*SUPERVISOR, "end-leftovers"], cwd=ROOT, check=True)


def wait_for_turn():
    """Wait while another command uses the project's test database."""
    turn = lock("turn", wait=False)
    if turn is None:
        print("Waiting for another make in this project.", file=sys.stderr)
        turn = lock("turn")
    os.set_inheritable(turn, True)


if __name__ == "__main__":
    main()
