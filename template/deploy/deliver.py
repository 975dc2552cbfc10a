"""Deliver a release to an environment, or go back to the one before.

RELEASE=commit python3 deploy/deliver.py deploy ENVIRONMENT
python3 deploy/deliver.py rollback ENVIRONMENT

Exits with 0 when all went well, with 1 when it did not and the old release runs, with 2
when nothing was touched, and with 3 when a person must look.
"""

import contextlib
import fcntl
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import smoke
from commands import Failed, NotReplaced, Refused

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
MIGRATIONS = "The database keeps the migrations that were applied: none is reversed."
BY_HAND = 'read "By hand" in docs/deployment.md'


class Cancelled(BaseException):
    """The job was cancelled, or somebody pressed Ctrl-C."""


# A target says by its exception what it knows; anything else is a failure, too.
FAILURES = (Exception, Cancelled)
WRONG_ARGUMENTS = (ValueError, KeyError)
TRIES = 5  # to ask what runs
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Environment(NamedTuple):
    """Where a release can run: its name, address and settings of deploy/environments.toml."""

    name: str
    url: str
    settings: dict
    after: "Environment | None" = None  # which must run a release before it may


class Release(NamedTuple):
    """What ran, or runs: how the target goes back to it, and what it was built from."""

    reference: str
    artifact: str


def main():
    try:
        verb, name = sys.argv[1:]
        action = {"deploy": deploy, "rollback": roll_back}[verb]
    except WRONG_ARGUMENTS:
        say("Say what and where: python3 deploy/deliver.py deploy|rollback ENVIRONMENT")
        sys.exit(2)
    handle_signals(cancel)
    os.chdir(ROOT)
    try:
        sys.exit(action(name))
    except Refused as refused:
        say(f"{refused} Nothing was touched.")
        sys.exit(2)
    except Cancelled:
        say("Cancelled. Nothing was touched.")
        sys.exit(1)


def say(text):
    print(text, file=sys.stderr, flush=True)


def handle_signals(handler):
    for number in SIGNALS:
        signal.signal(number, handler)


def cancel(number, frame):
    handle_signals(signal.SIG_IGN)
    raise Cancelled


def deploy(name):
    """Deliver $RELEASE; on any failure go back to what ran before. Return the exit code."""
    target, environment, seconds = prepare(name)
    release = find_commit(os.environ.get("RELEASE") or "HEAD")
    with locked(environment), logged_in(target):
        check(target, environment, release)
        running = first(history(target, environment))
        old = find_running(environment) if running else ""
        print(f"{name} runs {old or 'nothing yet'}; now comes {release}.", flush=True)
        try:
            if hasattr(target, "migrate"):
                migrate(target, environment, release)
            target.switch(environment, release)
            smoke.wait(environment.url, release, seconds=seconds)
        except NotReplaced as error:
            return stay(target, environment, running, old, seconds, error)
        except FAILURES as error:
            handle_signals(signal.SIG_IGN)  # Nothing interrupts the way back.
            return go_back(target, environment, running, old, release, seconds, error)
        handle_signals(signal.SIG_IGN)  # It is delivered, whatever comes now.
        if hasattr(target, "hand_on"):
            hand_on(target, environment, release)
    print(f"{name} runs {release}: {environment.url} is ready.")
    return 0


def roll_back(name):
    """Go to the release before the running one. Return the exit code."""
    target, environment, seconds = prepare(name)
    with locked(environment), logged_in(target):
        previous = find_previous(history(target, environment))
        if not previous:
            raise Refused(f"{name} has no release before the one that runs.")
        bad = find_running(environment)
        try:
            target.go_back(environment, previous.reference)
            found = smoke.wait(environment.url, other_than=bad, seconds=seconds)
        except FAILURES as error:
            say(f"The rollback of {name} failed: {tell(error, target)}.")
            say(f"Which release runs is not certain: {BY_HAND}.")
            return 3
    print(f"{name} went back to {found}: {environment.url} is ready.")
    print(MIGRATIONS)
    return 0


def prepare(name):
    """Check all that can be checked on this machine; return what a delivery needs."""
    settings = tomllib.loads((FOLDER / "environments.toml").read_text())
    environments = settings["environments"]
    if name not in environments:
        raise Refused(f"ENVIRONMENT is one of {', '.join(environments)}, not {name!r}.")
    environment = find_environment(name, environments)
    target = importlib.import_module(settings["target"])
    os.environ["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"  # `make tools`
    for tool in target.TOOLS:
        if not shutil.which(tool):
            raise Refused(f"Install {tool}, or run `make tools`, then try again.")
    missing = [name for name in target.VARIABLES if not os.environ.get(name)]
    if missing:
        raise Refused(f"Set {' and '.join(missing)}, as docs/deployment.md says.")
    try:
        smoke.read_address(environment.url)
        seconds = smoke.read_seconds()
    except ValueError as error:
        raise Refused(str(error)) from error
    return target, environment, seconds


def find_environment(name, environments):
    settings = environments[name]
    after = settings.get("after")
    return Environment(
        name, settings["url"], settings, after and find_environment(after, environments)
    )


def find_commit(name):
    """Return the whole id of a commit: the platform, and the smoke test, want no less."""
    command = ["git", "rev-parse", "--verify", "--quiet", name + "^{commit}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(f"RELEASE is a commit of this repository, not {name!r}.")
    return done.stdout.strip()


def find_running(environment):
    """Return the id of the release that answers; one request that is lost says nothing."""
    for _ in range(TRIES):
        if release := smoke.find_release(environment.url):
            return release
        time.sleep(smoke.PAUSE)
    return ""


@contextlib.contextmanager
def locked(environment):
    """Let one delivery to an environment run on this machine; others wait."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / f"deliver-{environment.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another delivery to {environment.name} runs: waiting.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def logged_in(target):
    """Let a target keep a secret in a file for as long as it delivers."""
    return getattr(target, "logged_in", contextlib.nullcontext)()


def check(target, environment, release):
    """Let production take only what the environment before it runs."""
    after = environment.after
    if after:
        found = smoke.find_release(after.url)
        if found != release:
            raise Refused(
                f"{environment.name} takes what {after.url} runs: that is "
                f"{found or 'nothing'}, not {release}."
            )
        reason, _ = smoke.judge(after.url, release)
        if reason:
            raise Refused(f"{environment.name} takes what is well: {reason}.")
    with refusing():
        target.check(environment, release)


def history(target, environment):
    """Return what ran in the environment, newest first; the first one runs."""
    with refusing():
        return [Release(*release) for release in target.history(environment)]


@contextlib.contextmanager
def refusing():
    """A platform that cannot even be asked is no platform to deliver to."""
    try:
        yield
    except Failed as error:
        raise Refused(f"{error}.") from error


def first(releases):
    return releases[0] if releases else None


def find_previous(releases):
    """Return what ran before the running release first did.

    The newest other release may be the one that somebody went back from.
    """
    artifacts = [release.artifact for release in releases]
    if not releases:
        return None
    oldest = len(artifacts) - 1 - artifacts[::-1].index(artifacts[0])
    return first(releases[oldest + 1 :])


def migrate(target, environment, release):
    """A migration that fails changes no process."""
    try:
        target.migrate(environment, release)
    except Failed as error:
        raise NotReplaced(f"the migration failed: {error}") from error


def hand_on(target, environment, release):
    """Let the environment that comes next have what is well here."""
    try:
        target.hand_on(environment, release)
    except OSError as error:
        say(f"What comes after {environment.name} cannot take this release: {error}.")


def stay(target, environment, running, old, seconds, error):
    """Nothing was switched: check that the old release is well, and say so."""
    say(f"The deployment to {environment.name} failed: {tell(error, target)}.")
    if not running:
        say("Nothing ran there before, and nothing runs now.")
        return 1
    try:
        old = smoke.wait(environment.url, old, seconds=seconds)
    except FAILURES as problem:
        say(f"The old release should still run, but: {tell(problem, target)}.")
        say(f"Which release runs is not certain: {BY_HAND}.")
        return 3
    say(f"The old release {old} still runs and is ready; nothing was rolled back.")
    say("Mend the cause, then deploy again.")
    return 1


def go_back(target, environment, running, old, new, seconds, error):
    """Go back to what ran, check that it is well, and say so."""
    say(f"The deployment to {environment.name} failed: {tell(error, target)}.")
    if not running:
        say(f"There is no earlier release to go back to: {BY_HAND}.")
        return 3
    say(f"Going back to {old or running.reference}.")
    other_than = new if new != old else ""
    try:
        target.go_back(environment, running.reference)
        found = smoke.wait(environment.url, old, other_than=other_than, seconds=seconds)
    except FAILURES as problem:
        say(f"Going back failed, too: {tell(problem, target)}.")
        say(f"Which release runs is not certain: {BY_HAND}.")
        return 3
    say(f"The old release {found} runs again and is ready.")
    say(MIGRATIONS)
    say("Mend the cause, then deploy again.")
    return 1


def tell(error, target):
    """Return what happened, in words."""
    if isinstance(error, Cancelled):
        return f"it was cancelled. {target.CANCELLED}"
    return str(error).rstrip(".") or type(error).__name__


if __name__ == "__main__":
    main()
