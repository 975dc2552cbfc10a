"""A stand-in for Heroku's command line and its git server, which runs
`heroku build APP COMMIT` for a push.
"""

import json
import os
import sys

from stand_in import FOLDER, State, crashes, fails, option, record, serve


def release(app, slug, description, step):
    """Add a release, and run its release phase."""
    with State() as state:
        releases = state[app]
        failed = fails(f"{step}-phase") or not dyno("release", slug)
        endless = fails(f"{step}-endless")
        late = endless or fails(f"{step}-late")
        status = "pending" if late else "succeeded"
        new = {
            "version": len(releases) + 1,
            "status": "failed" if failed else status,
            "slug": {"id": f"slug-{slug}"},
            "description": description,
            # A pending release phase fails at the third query.
            "queries": 3 if late and not endless else 0,
        }
        releases.insert(0, new)
    if not failed and not late:
        serve(app, slug)
        dyno("web", slug)


def dyno(action, commit):
    """Run an action on the real machine, if there is one; return whether it succeeded."""
    if "DYNO_PROXY" not in os.environ:
        return True
    import subprocess  # Slow to import, and of no use to other commands

    folder = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    script = os.path.join(folder, "dyno.py")
    return subprocess.run([sys.executable, script, action, commit]).returncode == 0


def build():
    app, commit = sys.argv[2:]
    if fails("build") or not dyno("build", commit):
        sys.exit("Push rejected, failed to compile Python app.")
    release(app, commit, f"Deploy {commit[:8]}", "push")


def list_releases():
    app = option("--app")
    with State() as state:
        shown = json.dumps(state[app])
        for one in state[app]:
            if one.get("queries"):
                one["queries"] -= 1
                one["status"] = "pending" if one["queries"] else "failed"
    print(shown)


def list_dynos():
    app = option("--app")
    # Both fail only after the switch.
    number = (FOLDER / "calls").read_text().count("heroku ps ")
    if (number > 1 and fails("ps")) or (number == 2 and fails("ps-once")):
        sys.exit("Error: Service unavailable")
    if fails("ps-format") or (number > 1 and fails("ps-format-later")):
        print(json.dumps([{"name": "web.1"}]))
        return
    with State() as state:
        newest, *_ = releases = state[app]
    # With preboot, the dynos of the previous release are still there.
    dynos = [
        {
            "name": f"{role}.1",
            "type": role,
            "state": "crashed" if crashes(role, commit_of(release)) else "up",
            "release": {"version": release["version"]},
        }
        for release in releases[:2]
        for role in ("web", "worker", "beat")
    ]
    # A command of a person, which failed
    failed = {"name": "run.1", "type": "run", "state": "crashed"}
    print(json.dumps([*dynos, failed | {"release": {"version": newest["version"]}}]))


def commit_of(release):
    return (release["slug"] or {"id": ""})["id"].removeprefix("slug-")


def api():
    """Create a release, as `POST /apps/APP/releases` does: api APP BUILD DESCRIPTION."""
    app, build, description = sys.argv[2:]
    if fails("promote"):
        sys.exit("Unprocessable Entity")
    release(app, build.removeprefix("slug-"), description, "promote")


def capture():
    app = option("--app")
    with State() as state:
        backups = state.setdefault("backups", [])
        backups.append(app)
    print(f"Starting backup of postgresql-{app}... done", file=sys.stderr)
    print("\nUse Ctrl-C at any time to stop monitoring progress.")
    if fails("capture"):
        sys.exit("An error occurred and the backup did not finish.")


def show_backup():
    """Show the newest backup of an app, as on a GitHub runner: with colors."""
    app = option("--app")
    with State() as state:
        numbers = [n for n, it in enumerate(state["backups"], 1) if it == app]
    kind = "a" if fails("scheduled") else "b"
    print(
        f"\033[90m===\033[39m \033[1mBackup \033[36m{kind}{numbers[-1]:03}\033[39m\033[22m"
    )
    print(
        "\nDatabase: DATABASE\nStatus: Completed\nBackup Size: 1.00KB (90% compression)"
    )


def roll_back():
    app, version = option("--app"), sys.argv[2]
    if fails("rollback"):
        sys.exit("Couldn't find that release.")
    with State() as state:
        old = next(one for one in state[app] if f"v{one['version']}" == version)
    commit = old["slug"]["id"].removeprefix("slug-")
    release(app, commit, f"Rollback to {version}", "rollback")


def retry():
    app = option("--app")
    with State() as state:
        newest = state[app][0]
    commit = newest["slug"]["id"].removeprefix("slug-")
    release(
        app, commit, f"Retry of v{newest['version']}: {newest['description']}", "retry"
    )


COMMANDS = {
    "api": api,
    "build": build,
    "pg:backups:capture": capture,
    "pg:backups:info": show_backup,
    "ps": list_dynos,
    "releases": list_releases,
    "releases:retry": retry,
    "releases:rollback": roll_back,
}


def main():
    """Run the command that sys.argv names."""
    record()
    COMMANDS[sys.argv[1]]()
