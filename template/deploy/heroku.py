"""Heroku: staging builds a push, and production gets the build of staging.

Heroku migrates in the release phase of the Procfile. It runs for each release, also in a
rollback, where there is nothing to migrate.
"""

import json
import os
import re
import time
import urllib.request

import smoke
from commands import (
    TIMEOUT,
    Failed,
    NotReplaced,
    Refused,
    TimedOut,
    read,
    read_text,
    run,
)
from pages import REQUEST_ERRORS, describe

TOOLS = ("git", "heroku")
VARIABLES = ("HEROKU_API_KEY",)
CANCELLED = "Heroku still releases a build that has started: check `heroku releases`"

# Git reads the password from the environment, so that no URL and no log contains it.
HELPER = '!f() { echo username=heroku; echo "password=$HEROKU_API_KEY"; }; f'
API = "https://api.heroku.com"
REQUEST_TIMEOUT = 60  # seconds
CHECKED: dict[str, str] = {}  # the build that `check` accepted, by environment
ONE_OFF = ("release", "run")  # types of dynos that are no process of the Procfile
PHASE_TIMEOUT = TIMEOUT + 100  # seconds, so that Heroku's own limit comes first
PAUSE = 2  # seconds between two queries of a release phase


def check(environment, release):
    """Raise Refused for a release that Heroku would not deploy.

    It accepts a push only with the full history. Production gets staging's newest build.
    """
    after = environment.after
    if after:
        releases = find_releases(after)
        newest = [it for it in releases if it["slug"] == releases[0]["slug"]]
        commits = [commit for it in newest if (commit := find_commit(it))]
        # For a while, the site still answers with the release before the newest one.
        if commits and not release.startswith(commits[0]):
            raise Refused(
                f"Refusing to deploy {release} to {environment.name}: the newest release "
                f"of {after.settings['app']} is {commits[0]}."
            )
        CHECKED[environment.name] = releases[0]["slug"]["id"]
    elif read("git", "rev-parse", "--is-shallow-repository"):
        raise Refused("Fetch the full history first: git fetch --unshallow.")


def history(environment):
    """Return (release, build) of the releases that succeeded, the running one first.

    For a while, the site still answers with the release before the newest one.
    """
    ran = [
        release
        for release in find_releases(environment)
        if release["status"] == "succeeded" and release["slug"]
    ]
    answers = smoke.find_release(environment.url)
    builds = [
        release["slug"]["id"]
        for release in ran
        if (commit := find_commit(release)) and answers.startswith(commit)
    ]
    newest = next((n for n, it in enumerate(ran) if it["slug"]["id"] in builds), 0)
    return [(f"v{it['version']}", it["slug"]["id"]) for it in ran[newest:]]


def create_restore_point(environment):
    """Capture a backup of the app's database; return its id."""
    app = environment.settings["app"]
    run("heroku", "pg:backups:capture", "--app", app)
    newest = read_text("heroku", "pg:backups:info", "--app", app)
    # The command line may color the id.
    found = re.search(r"Backup .*?(b\d{3,})", newest)
    if not found:
        raise Failed(f"Heroku does not list the backup of {app}")
    return f"the backup {found[1]} of {app}"


def switch(environment, release):
    """Push a release to staging, or give production its build; both migrate.

    Raise NotReplaced if the previous release still runs.
    """
    before = find_releases(environment)
    try:
        if environment.after:
            release_build(environment, release)
        else:
            push(environment, release)
    except Failed as error:
        # A rejected push creates no release; a lost answer may belong to one.
        if find_releases(environment)[0]["version"] == before[0]["version"]:
            raise NotReplaced(str(error)) from error
    if find_releases(environment)[0]["version"] == before[0]["version"]:
        release_again(environment, release, before)
    try:
        status = wait_for_release_phase(environment)
    except TimedOut as error:
        raise NotReplaced(str(error)) from error
    if status == "failed":
        app = environment.settings["app"]
        raise NotReplaced(
            "the release phase, which migrates, failed or took longer than an hour: "
            f"read `heroku releases:output --app {app}`"
        )


def crashes(environment, release):
    """Return the newest release's dynos that Heroku restarts only after a pause."""
    app = environment.settings["app"]
    dynos = read("heroku", "ps", "--app", app, "--json")
    newest = max((dyno["release"]["version"] for dyno in dynos), default=0)
    return {
        f"the dyno {dyno['name']} of v{newest}"
        for dyno in dynos
        # With preboot, dynos of the previous release run for a while.
        if dyno["release"]["version"] == newest
        and dyno["state"] == "crashed"
        and dyno["type"] not in ONE_OFF
    }


def roll_back(environment, reference):
    """Release an earlier build again; raise Failed if its release phase fails."""
    app = environment.settings["app"]
    run("heroku", "releases:rollback", reference, "--app", app)
    if wait_for_release_phase(environment) == "failed":
        raise Failed(f"the release phase of the rollback to {reference} failed")


def find_releases(environment):
    """Return the app's latest releases, newest first."""
    app = environment.settings["app"]
    return read("heroku", "releases", "--app", app, "--num", "50", "--json")


def find_commit(release):
    """Return the short id of the commit that a release was built from, if it names one."""
    found = re.search(r"Deploy ([0-9a-f]{7,40})$", release["description"])
    return found and found[1]


def wait_for_release_phase(environment):
    """Wait for the newest release, as `git push` does not; return its status."""
    deadline = time.monotonic() + PHASE_TIMEOUT
    while (status := find_releases(environment)[0]["status"]) == "pending":
        if time.monotonic() > deadline:
            raise TimedOut(f"the release phase did not finish within {PHASE_TIMEOUT} s")
        time.sleep(PAUSE)
    return status


def release_build(environment, release):
    """Release the build that `check` accepted.

    `heroku pipelines:promote` would release the one that staging has by now.
    """
    url = f"{API}/apps/{environment.settings['app']}/releases"
    build = CHECKED[environment.name]
    print("$", "POST", url, build, flush=True)
    request = urllib.request.Request(
        url,
        json.dumps({"slug": build, "description": f"Deploy {release[:8]}"}).encode(),
        {
            "Accept": "application/vnd.heroku+json; version=3",
            "Authorization": f"Bearer {os.environ['HEROKU_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    try:
        urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT).close()
    except REQUEST_ERRORS as error:
        # The text of an error can contain the key.
        raise Failed(
            f"Heroku did not accept the build {build}: {describe(error)}"
        ) from error


def push(environment, release):
    """Push a commit, which Heroku builds and releases."""
    address = f"https://git.heroku.com/{environment.settings['app']}.git"
    helper = ("-c", "credential.helper=", "-c", f"credential.helper={HELPER}")
    # --force, so that an older commit can be deployed as well.
    run("git", *helper, "push", "--force", address, f"{release}:refs/heads/main")


def release_again(environment, release, releases):
    """Release a commit that Heroku already has, because pushing it again does nothing."""
    app = environment.settings["app"]
    for number, found in enumerate(releases):
        built = find_commit(found)
        if built and release.startswith(built):
            if number == 0:
                run("heroku", "releases:retry", "--app", app)
            else:
                version = f"v{found['version']}"
                run("heroku", "releases:rollback", version, "--app", app)
            return
    raise NotReplaced("Heroku has this commit, but no release of it: push a new commit")
