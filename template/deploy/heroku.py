"""Heroku: staging is built from a push, production gets staging's very build.

The release phase of the Procfile migrates, within the switch. It runs for each release,
also for one that goes back: there it finds nothing to do.
"""

import re
import time

from commands import TIMEOUT, Failed, NotReplaced, Refused, read, run

TOOLS = ("git", "heroku")
VARIABLES = ("HEROKU_API_KEY",)
CANCELLED = "Heroku still releases a build that has begun: see `heroku releases`"

# Git takes the password from the environment, so that no address and no log has it.
HELPER = '!f() { echo username=heroku; echo "password=$HEROKU_API_KEY"; }; f'
PAUSE = 2  # seconds between two looks at a release phase


def check(environment, release):
    """Heroku takes no push without all of history, and promotes what came last."""
    after = environment.after
    if after:
        releases = find_releases(after)
        newest = [it for it in releases if it["slug"] == releases[0]["slug"]]
        commits = [commit for it in newest if (commit := find_commit(it))]
        # What has just been released may not answer yet.
        if commits and not release.startswith(commits[0]):
            raise Refused(f"{after.settings['app']} has released {commits[0]} by now.")
    elif read("git", "rev-parse", "--is-shallow-repository"):
        raise Refused("Fetch the whole history first: git fetch --unshallow.")


def history(environment):
    """Return (release, build) of what ran, newest first."""
    return [
        (f"v{release['version']}", release["slug"]["id"])
        for release in find_releases(environment)
        if release["status"] == "succeeded" and release["slug"]
    ]


def switch(environment, release):
    before = find_releases(environment)
    try:
        if environment.after:
            promote(environment)
        else:
            push(environment, release)
    except Failed as error:
        # A refused push makes no release; a failed release phase of a promotion does.
        if find_releases(environment)[0]["version"] == before[0]["version"]:
            raise NotReplaced(str(error)) from error
    if find_releases(environment)[0]["version"] == before[0]["version"]:
        repeat(environment, release, before)
    if settle(environment) == "failed":
        app = environment.settings["app"]
        raise NotReplaced(
            "the release phase, which migrates, failed: "
            f"see `heroku releases:output --app {app}`"
        )


def go_back(environment, reference):
    app = environment.settings["app"]
    run("heroku", "releases:rollback", reference, "--app", app)
    if settle(environment) == "failed":
        raise Failed(f"the release phase of the rollback to {reference} failed")


def find_releases(environment):
    """Return the app's latest releases, newest first."""
    app = environment.settings["app"]
    return read("heroku", "releases", "--app", app, "--num", "50", "--json")


def find_commit(release):
    """Return the short id of the commit that a release was built from, if it says so."""
    found = re.search(r"Deploy ([0-9a-f]{7,40})$", release["description"])
    return found and found[1]


def settle(environment):
    """Wait for the newest release's release phase: `heroku` and `git` exit with 0 before."""
    deadline = time.monotonic() + TIMEOUT
    while (status := find_releases(environment)[0]["status"]) == "pending":
        if time.monotonic() > deadline:
            raise Failed(f"the release phase did not end in {TIMEOUT} s")
        time.sleep(PAUSE)
    return status


def promote(environment):
    source, app = environment.after.settings["app"], environment.settings["app"]
    run("heroku", "pipelines:promote", "--app", source, "--to", app)


def push(environment, release):
    address = f"https://git.heroku.com/{environment.settings['app']}.git"
    helper = ("-c", "credential.helper=", "-c", f"credential.helper={HELPER}")
    # An older commit is a release like any other.
    run("git", *helper, "push", "--force", address, f"{release}:refs/heads/main")


def repeat(environment, release, releases):
    """Release a commit that Heroku's repository has: to push it again does nothing."""
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
    raise NotReplaced("Heroku has this commit, but no release of it: make a new commit")
