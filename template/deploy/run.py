"""Deploy a release to an environment, or roll an environment back.

RELEASE=commit python3 deploy/run.py deploy|rollback ENVIRONMENT

RELEASE is the commit to deploy, or the one to roll back; by default, the checked-out one.

Exit codes:
0: the release runs and is ready
1: it failed or was cancelled; the previous release, if there is one, still runs
2: nothing was changed
3: it is not certain which release runs, so a person must check
"""

import contextlib
import fcntl
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self
from xml.etree.ElementTree import Element, ElementTree, SubElement

import pages
import restore
import smoke
import watch
from commands import SIGNALS, Failed, NotReplaced, Refused, TimedOut, keep_output

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
MIGRATIONS = "Applied migrations are kept: a rollback reverses none."
BY_HAND = 'follow "Roll back by hand" in docs/deployment.md'
REPORTED: list[str] = []  # the lines of the outcome
OUTCOME = Path("reports", "exit-code")
RESULT = OUTCOME.with_name("deployment.xml")
LIMIT = "what it started may go on there, so check that before you deploy again"
UNCERTAIN = f"It is not certain which release runs: {BY_HAND}."


class Cancelled(BaseException):
    """The job was cancelled, or a person pressed Ctrl-C."""


# A target reports what it knows by its exception; any other error is a failure as well.
FAILURES = (Exception, Cancelled)
WRONG_ARGUMENTS = (ValueError, KeyError)
TRIES = 5  # of a request that may be lost
SHORT_ID = re.compile("[0-9a-f]{7,}")
NONE = "none"  # instead of the id of a release, if none answers


@dataclass(frozen=True)
class Environment:
    """A place to deploy to: its name, URL and settings in deploy/environments.toml."""

    name: str
    url: str
    settings: dict
    after: Self | None = None  # the one that must run a release first


class Release(NamedTuple):
    """A release of an environment.

    `reference` is how the target rolls back to it, `artifact` what it was built from.
    """

    reference: str
    artifact: str


def main():
    try:
        verb, name = filter(None, sys.argv[1:])  # Make may pass an empty one.
        action = {"deploy": deploy, "rollback": roll_back}[verb]
    except WRONG_ARGUMENTS:
        report("Usage: make deploy|rollback ENVIRONMENT=staging [RELEASE=commit]")
        sys.exit(2)
    os.chdir(ROOT)
    with contextlib.suppress(OSError):
        OUTCOME.unlink(missing_ok=True)
        RESULT.unlink(missing_ok=True)
    handle_signals(cancel)
    try:
        code = action(name)
    except Refused as refused:
        report(f"{refused} Nothing was changed.")
        code = 2
    except Cancelled:
        report("Cancelled. Nothing was changed.")
        code = 1
    write_outcome(f"{verb} {name}", code)
    sys.exit(code)


def report(text):
    keep_output()
    print(text, file=sys.stderr, flush=True)
    REPORTED.append(text)


def report_uncertain(environment):
    """Report which release answers, and that a person must check."""
    found = find_running(environment)
    report(f"Release {found} answers." if found else "No release answers.")
    report(UNCERTAIN)


def write_outcome(title, code):
    """Write the exit code, and show a pipeline what was reported.

    $ERROR_FORMAT is how its provider annotates a run, and $SUMMARY_VARIABLE the variable
    with the path of the run's summary.
    """
    write_code(code)
    write_result(title, code)
    text = "\n".join(REPORTED)
    summary = os.environ.get(os.environ.get("SUMMARY_VARIABLE", ""))
    if text and summary:
        with contextlib.suppress(OSError), open(summary, "a") as file:
            file.write(f"### {title}: exit code {code}\n\n```text\n{text}\n```\n")
    error = os.environ.get("ERROR_FORMAT")
    if code and error:
        text = text.replace("%", "%25").replace("\n", "%0A")
        title = f"{title} (exit code {code})"
        print(error.format(title=title, text=text), flush=True)


def write_code(code):
    """Write the exit code, which make turns into 2, to a file.

    It is 3 during the change, for a deployment that is killed.
    """
    with contextlib.suppress(OSError):  # The exit code is the same without it.
        OUTCOME.parent.mkdir(exist_ok=True)
        OUTCOME.write_text(f"{code}\n")


def write_result(title, code):
    """Write the outcome as a test in JUnit's format, which most pipelines show."""
    suite = Element("testsuite", name="deployment")
    test = SubElement(suite, "testcase", classname="deployment", name=title)
    text = "\n".join(REPORTED)
    # XML has no control characters, such as those of a platform's colours.
    text = "".join(it for it in text if it.isprintable() or it == "\n")
    if code:
        SubElement(test, "failure", message=f"exit code {code}").text = text
    elif text:
        SubElement(test, "system-out").text = text
    with contextlib.suppress(OSError):
        ElementTree(suite).write(RESULT)


def handle_signals(handler):
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as with `nohup make deploy`
            signal.signal(number, handler)


def cancel(number, frame):
    handle_signals(signal.SIG_IGN)
    time.sleep(smoke.PAUSE)  # Ctrl-C also ends a `| tee`, which keep_output must see.
    raise Cancelled


def deploy(name):
    """Deploy $RELEASE; on any failure, roll back. Return the exit code."""
    target, environment, seconds = prepare(name)
    watched, seen = prepare_watch(environment), ""
    release = find_commit(os.environ.get("RELEASE") or "HEAD")
    skipped = environment.after if says_yes("SKIP_STAGING") else None
    if skipped:
        environment = replace(environment, after=None)
        report(f"SKIP_STAGING=yes: {name} gets {release} without {skipped.name}.")
    with locked(environment), logged_in(target):
        check(target, environment, release)
        running = first(history(target, environment))
        old = find_running(environment) if running else ""
        if old:
            check_order(environment, release, old)
        elif running:
            check_access(environment, release)
        crashed = watched and find_crashes(target, environment, release)
        now = old or "no release that answers"
        print(f"Deploying {release} to {name}, which runs {now}.", flush=True)
        point = running and restore.create_restore_point(
            target, environment, old, release
        )
        write_code(3)
        try:
            if hasattr(target, "migrate"):
                migrate(target, environment, release)
            target.switch(environment, release)
            smoke.wait(environment.url, release, seconds=seconds)
            if watched:
                seen = watch.watch(environment, release, watched)
                check_processes(target, environment, release, crashed)
        except NotReplaced as error:
            handle_signals(signal.SIG_IGN)  # Nothing may interrupt the report.
            report_failure(target, environment, error, point)
            return keep_previous(target, environment, running, old, seconds)
        except FAILURES as error:
            handle_signals(signal.SIG_IGN)  # Nothing may interrupt the rollback.
            report_failure(target, environment, error, point)
            return restore_previous(target, environment, running, old, release, seconds)
        handle_signals(signal.SIG_IGN)  # It is deployed: too late to cancel.
        keep_output()
        if hasattr(target, "record_promotion"):
            record_promotion(target, environment, release)
    print(f"{name} runs {release}: {environment.url} is ready.", flush=True)
    if seen:
        print(seen, flush=True)
    if point:
        report(restore.describe(point))
    if skipped:
        report(f"It did not run on {skipped.name}: deploy it there as well.")
    return 0


def roll_back(name):
    """Roll back $RELEASE to the release that ran before it. Return the exit code."""
    target, environment, seconds = prepare(name)
    with locked(environment), logged_in(target):
        previous = find_previous(history(target, environment))
        if not previous:
            raise Refused(f"{name} has no earlier release to roll back to.")
        bad = find_bad(environment)
        print(
            f"Rolling back {name} from {bad} to {' '.join(dict.fromkeys(previous))}.",
            flush=True,
        )
        point = restore.describe_earlier(target, environment, bad)
        write_code(3)
        try:
            target.roll_back(environment, previous.reference)
            found = wait_for_previous(environment, other_than=bad, seconds=seconds)
            handle_signals(signal.SIG_IGN)  # It is rolled back: too late to cancel.
            keep_output()
        except FAILURES as error:
            handle_signals(signal.SIG_IGN)  # Nothing may interrupt the report.
            report(f"The rollback of {name} failed: {describe(error, target)}.")
            report_uncertain(environment)
            return 3
    print(f"{name} was rolled back to {found}: {environment.url} is ready.")
    print(MIGRATIONS, flush=True)
    if point:
        report(point)
    return 0


def prepare(name):
    """Check this machine; return the target, the environment and the smoke test's limit."""
    try:
        settings = tomllib.loads((FOLDER / "environments.toml").read_text())
    except ValueError as error:
        raise Refused(f"Correct deploy/environments.toml: {error}.") from error
    environments = settings["environments"]
    if name not in environments:
        raise Refused(f"Set ENVIRONMENT to {' or '.join(environments)}, not {name!r}.")
    environment = find_environment(name, environments)
    target = importlib.import_module(settings["target"])
    os.environ["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"  # `make tools`
    for tool in target.TOOLS:
        if not shutil.which(tool):
            raise Refused(f"Install {tool}, or run `make tools`, then try again.")
    missing = [name for name in target.VARIABLES if not os.environ.get(name)]
    if missing:
        raise Refused(f"Set {' and '.join(missing)}: see docs/deployment.md.")
    for variable in target.VARIABLES:
        os.environ[variable] = os.environ[variable].strip()  # as a pasted key may end
    try:
        pages.find_site(environment.url)
        seconds = smoke.read_seconds()
    except ValueError as error:
        raise Refused(str(error)) from error
    return target, environment, seconds


def prepare_watch(environment):
    """Check the settings of a deployment; return the seconds to watch, or 0."""
    try:
        restore.check_settings(environment)
        return watch.read_settings(environment)
    except ValueError as error:
        raise Refused(str(error)) from error


def find_environment(name, environments):
    settings = environments[name]
    after = settings.get("after")
    return Environment(
        name, settings["url"], settings, after and find_environment(after, environments)
    )


def find_bad(environment):
    """Return the release that runs, if it is $RELEASE; otherwise raise Refused.

    So a second rollback, or one after a deployment that failed, changes nothing.
    """
    bad = find_running(environment) or NONE
    name = os.environ.get("RELEASE") or "HEAD"
    # The clone of a pipeline may not have the commit.
    if not (SHORT_ID.fullmatch(name) and bad.startswith(name)) and name != bad:
        with contextlib.suppress(Refused):
            name = find_commit(name)
        if name != bad and bad == NONE:
            raise Refused(
                f"{environment.name} does not answer, so {name} may not run there. "
                f"To roll back anyway, set RELEASE={NONE}."
            )
        if name != bad:
            raise Refused(
                f"{environment.name} runs {bad}, not {name}, so there is nothing to roll "
                # Other processes can still run the one that was to be rolled back.
                f"back. If a rollback failed before, deploy {bad} again. "
                f"Only if {bad} is bad, too, set RELEASE={bad}."
            )
    return bad


def find_commit(name):
    """Return the full id of a commit, which the platform and the smoke test need."""
    command = ["git", "rev-parse", "--verify", "--quiet", name + "^{commit}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(f"Set RELEASE to a commit of this repository, not {name!r}.")
    return done.stdout.strip()


def says_yes(name):
    """Return whether a variable is "yes". Raise Refused if it is neither that nor "no"."""
    value = os.environ.get(name) or "no"
    if value not in ("yes", "no"):
        raise Refused(f"Set {name} to yes or no, not {value!r}.")
    return value == "yes"


def check_order(environment, release, running):
    """Refuse to replace the running release by an older commit without $ALLOW_OLDER.

    Of two pushes, the older one's job may come last, and an old job can be run again.
    """
    code = compare(release, running)
    is_older = code == 0 and release != running
    if is_older and not says_yes("ALLOW_OLDER"):
        raise Refused(
            f"Refusing to deploy {release} to {environment.name}: "
            f"it is older than {running}, which runs there. "
            f"To roll {environment.name} back, run `make rollback`. "
            "To deploy the older commit anyway, set ALLOW_OLDER=yes."
        )
    if code > 1:
        print(f"This clone does not have {running}, which may be newer.", flush=True)
    if code == 1 and compare(running, release) == 1:
        report(
            f"{release} does not include {running}, which runs on {environment.name}, "
            "such as a hotfix from a branch."
        )


def compare(one, other):
    """Return 0 if a commit is the other or older, 1 if not, or more if git cannot tell."""
    command = ["git", "merge-base", "--is-ancestor", "--", one, other]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL).returncode


def check_access(environment, release):
    """Refuse a site that something in front of it hides, such as a sign-on.

    The smoke test would fail, and a healthy release would be rolled back.
    """
    if status := smoke.find_refusal(environment.url):
        raise Refused(
            f"Refusing to deploy {release} to {environment.name}: it responds with "
            f'{status} to the smoke test. See "Smoke test" in docs/deployment.md.'
        )


def find_running(environment):
    """Return the id of the release that answers, trying again after a lost request."""
    for _ in range(TRIES):
        if release := smoke.find_release(environment.url):
            return release
        time.sleep(smoke.PAUSE)
    return ""


@contextlib.contextmanager
def locked(environment):
    """Run one deployment to an environment at a time on this machine; others wait."""
    path = ROOT / ".cache" / f"deploy-{environment.name}.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise Refused(f"Make the folder .cache writable: {error}.") from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another deployment to {environment.name}.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def logged_in(target):
    """Let a target keep a secret in a file while it deploys."""
    return getattr(target, "logged_in", contextlib.nullcontext)()


def check(target, environment, release):
    """Refuse a release for production that staging does not run, or that is not ready."""
    after = environment.after
    if after:
        for _ in range(TRIES):
            reason, found = smoke.check(after.url, release)
            if not reason:
                break
            time.sleep(smoke.PAUSE)
        if found and found != release:
            raise Refused(
                f"Refusing to deploy {release} to {environment.name}: "
                f"{after.name} is not running it (it runs {found}). "
                f"Deploy it to {after.name} first. If {after.name} is broken, "
                'see "Hotfix without staging" in docs/deployment.md. '
                # An old job that is run again ends here as well.
                f"To roll {environment.name} back, run `make rollback`, "
                "or see docs/pipeline.md#rollback."
            )
        if reason:
            raise Refused(
                f"Refusing to deploy {release} to {environment.name}: "
                f"{after.name} is not healthy ({reason}). "
                "If the release is an urgent fix, "
                'see "Hotfix without staging" in docs/deployment.md.'
            )
    with platform_must_answer():
        target.check(environment, release)


def history(target, environment):
    """Return the releases of the environment, newest first; the first one runs."""
    with platform_must_answer():
        return [Release(*release) for release in target.history(environment)]


def find_crashes(target, environment, release):
    """Return the crashes of this release before the deployment, if it runs already."""
    with platform_must_answer():
        return target.crashes(environment, release)


def check_processes(target, environment, release, known):
    """Raise Failed if a process of this release crashed after the switch.

    A platform that cannot report it is no reason to roll back a healthy release.
    """
    for _ in range(TRIES):
        try:
            new = sorted(target.crashes(environment, release) - known)
        except Exception as error:
            problem = error if isinstance(error, Failed) else repr(error)
            time.sleep(smoke.PAUSE)
        else:
            break
    else:
        report(f"The platform does not report whether a process crashed: {problem}.")
        return
    if new:
        raise Failed(f"a process crashed: {', '.join(new)}")


@contextlib.contextmanager
def platform_must_answer():
    """Refuse to deploy to a platform whose commands fail before anything is changed."""
    try:
        yield
    except Refused:
        raise
    except Failed as error:
        raise Refused(f"{error}.") from error
    except Exception as error:
        raise Refused(f"The platform's response is unreadable: {error!r}.") from error


def first(releases):
    return releases[0] if releases else None


def find_previous(releases):
    """Return the release that ran before the running one was first deployed.

    The newest other release may be one that was rolled back.
    """
    artifacts = [release.artifact for release in releases]
    if not releases:
        return None
    oldest = len(artifacts) - 1 - artifacts[::-1].index(artifacts[0])
    return first(releases[oldest + 1 :])


def migrate(target, environment, release):
    """Migrate before the switch: a failure leaves the previous release running."""
    try:
        target.migrate(environment, release)
    except TimedOut as error:
        raise NotReplaced(f"the migration has not ended: {error}") from error
    except Failed as error:
        raise NotReplaced(f"the migration failed: {error}") from error


def record_promotion(target, environment, release):
    """Record the image that is healthy here for the next environment."""
    try:
        target.record_promotion(environment, release)
    except OSError as error:
        report(
            f"Deployed, but could not record the image for the next environment: {error}."
            " Set IMAGE when you deploy there."
        )


def report_failure(target, environment, error, point):
    """Report why a deployment failed, and the restore point before it."""
    report(f"The deployment to {environment.name} failed: {describe(error, target)}.")
    if point:
        report(restore.describe(point))


def keep_previous(target, environment, running, old, seconds):
    """Check that the previous release is still healthy: nothing was switched."""
    if not running:
        report("This was the first deployment; nothing is running.")
        return 1
    try:
        old = wait_for_previous(environment, old, seconds=seconds)
    except FAILURES as problem:
        report(
            "The previous release should still be running, but the health check failed: "
            f"{describe(problem, target)}."
        )
        report_uncertain(environment)
        return 3
    report(f"The previous release {old} still runs and is ready: no rollback needed.")
    report("Fix the cause, then redeploy.")
    return 1


def restore_previous(target, environment, running, old, new, seconds):
    """Roll back to the release that ran before, and check that it is healthy."""
    if not running:
        report("There is no earlier release to roll back to.")
        report_uncertain(environment)
        return 3
    report(f"Rolling back to {old or running.reference}.")
    other_than = new if new != old else ""
    try:
        target.roll_back(environment, running.reference)
        found = wait_for_previous(
            environment, old, other_than=other_than, seconds=seconds
        )
    except FAILURES as problem:
        report(f"The rollback failed as well: {describe(problem, target)}.")
        report_uncertain(environment)
        return 3
    report(f"The previous release {found} runs again and is ready.")
    report(MIGRATIONS)
    report("Fix the cause, then redeploy.")
    return 1


def wait_for_previous(environment, release="", **others):
    """Wait until the previous release is ready, without the pages of the newer one."""
    test = smoke.check_readyz
    return smoke.wait(environment.url, release, test=test, **others)


def describe(error, target):
    """Return the message of an error, without its full stop."""
    if isinstance(error, Cancelled):
        return f"it was cancelled. {target.CANCELLED}"
    if isinstance(error, TimedOut) or isinstance(error.__cause__, TimedOut):
        return f"{error}. This is a time limit: {LIMIT}. {target.CANCELLED}"
    return str(error).rstrip(".") or type(error).__name__


if __name__ == "__main__":
    main()
