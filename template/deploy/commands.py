"""How a target runs its platform's commands, and how it says what went wrong."""

import json
import os
import shlex
import signal
import subprocess

GRACE = 5  # seconds for a command that is told to end
TIMEOUT = 3600  # seconds for one command, as long as a platform gives a release


class Refused(Exception):
    """Something is missing or wrong; nothing was touched."""


class NotReplaced(Exception):
    """The new release did not start; the platform kept the old one."""


class Failed(Exception):
    """A command failed, and which release runs is for the smoke test to say."""


def run(*command):
    """Run a command; what it prints goes to the log."""
    _run(command)


def read(*command):
    """Run a command that prints JSON; return what it printed."""
    output = _run(command, stdout=subprocess.PIPE)
    try:
        return json.loads(output)
    except ValueError as error:
        raise Failed(f"`{shlex.join(command)}` did not print JSON") from error


def end(process):
    """End a command: first so that it can give back what it holds, such as a lease."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _run(command, **streams):
    # Secrets stay in the environment: a command line can be seen, and is shown here.
    print("$", shlex.join(command), flush=True)
    # Ctrl-C reaches deliver.py alone, which ends what it started.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **streams
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]} did not end in {TIMEOUT} s") from error
    finally:
        if process.poll() is None:
            end(process)
    if process.returncode:
        raise Failed(f"`{shlex.join(command)}` failed")
    return output
