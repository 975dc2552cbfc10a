"""Run a platform's commands, and report how they fail.

The module of a platform, which deploy/run.py loads, has:

TOOLS, VARIABLES            the programs and the variables that it needs
CANCELLED                   what the platform does after a deployment was cancelled
check(...)                  raise Refused, or Failed, if a release cannot be deployed
history(...)                return the releases that ran, the running one first
switch(...)                 replace the running release
crashes(...)                return the crashes of the processes that run a release
roll_back(...)              restore a release, which `history` has returned
migrate(...)                optional: migrate, where `switch` does not
create_restore_point(...)   optional: create one of the database, and return its name
record_promotion(...)       optional: record the release for the next environment
logged_in()                 optional: a context in which the command line has its key
"""

import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from pages import is_texts

GRACE = 5  # seconds between SIGTERM and SIGKILL
TIMEOUT = 3600  # seconds for one command: as long as a platform allows a release
LOG = Path(".cache", "deploy.log")  # after the terminal, or a `| tee`, was closed
OUTPUTS = (1, 2)  # which the commands inherit
CLOSED = select.POLLERR | select.POLLHUP
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # They cancel a deployment.


class Refused(Exception):
    """Something is missing or wrong; nothing was changed."""


class NotReplaced(Exception):
    """The new release did not start; the platform kept the previous one."""


class Failed(Exception):
    """A command failed; the smoke test must find out which release runs."""


class TimedOut(Failed):
    """A time limit was reached; what the command started on the platform may go on."""


def check_command(environment, key, example, *, runs=True):
    """Raise ValueError unless a setting is a command that can run, if it is to run."""
    command = environment.settings.get(key, [])
    if not is_texts(command):
        raise ValueError(
            f"Set {key} of {environment.name} in deploy/environments.toml to a list "
            f"such as {example}, not {command!r}."
        )
    if runs and command and not shutil.which(command[0]):
        raise ValueError(f"Install {command[0]}, which {key} runs.")


def run(*command, timeout=TIMEOUT):
    """Run a command; its output goes to the log. Raise Failed if it fails."""
    _run(command, timeout)


def read(*command):
    """Run a command that prints JSON; return the data. Raise Failed if it fails."""
    try:
        return json.loads(read_text(*command))
    except ValueError as error:
        raise Failed(f"`{shlex.join(command)}` did not print JSON") from error


def read_text(*command):
    """Run a command; return what it printed. Raise Failed if it fails."""
    return _run(command, TIMEOUT, stdout=subprocess.PIPE)


def keep_output():
    """Write to a file instead of a closed terminal or pipe, which would stop a rollback."""
    outputs = select.poll()
    for number in OUTPUTS:
        outputs.register(number, CLOSED)
    for number, event in outputs.poll(0):
        if event & CLOSED:
            LOG.parent.mkdir(exist_ok=True)
            with LOG.open("ab") as log:
                os.dup2(log.fileno(), number)


@contextlib.contextmanager
def uncancelled():
    """Delay a cancellation until the commands within have ended."""
    received = []

    def delay(number, frame):
        received.append((number, frame))

    handlers = {it: old for it in SIGNALS if callable(old := signal.getsignal(it))}
    for number in handlers:
        signal.signal(number, delay)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in received[:1]:
            handlers[number](number, frame)


def start(command, **streams):
    """Start a command in its own session, so that Ctrl-C reaches only run.py."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **streams
    )


def stop(process):
    """Stop a command, unless it has ended; SIGTERM lets it release, say, a lease."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _run(command, timeout, **streams):
    keep_output()
    # The log and other users see the command line, so secrets stay in the environment.
    print("$", shlex.join(command), flush=True)
    with contextlib.ExitStack() as stack:
        with uncancelled():  # until it can be stopped
            process = start(command, **streams)
            stack.callback(stop, process)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            limit = f"within {timeout} s"
            raise TimedOut(f"{command[0]} did not finish {limit}") from error
    if process.returncode:
        raise Failed(f"`{shlex.join(command)}` failed")
    return output
