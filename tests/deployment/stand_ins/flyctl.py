"""A stand-in for flyctl and Fly.io behind it. The digest of an image begins with its commit."""

import json
import os
import re
import sys

from stand_in import FOLDER, File, State, crashes, fails, option, record, serve


def check_key():
    """A pipeline's key is valid for the app that it names, a person's own key for all."""
    key = os.environ["FLY_API_TOKEN"]
    if "only" in key and "--app" in sys.argv and not key.endswith(option("--app")):
        sys.exit("Error: unauthorized")


def log_in():
    with State() as state:
        state["logged_in"] = True


def list_releases():
    with State() as state:
        print(json.dumps(state[option("--app")]["releases"]))


def list_machines():
    with State() as state:
        machines = state[option("--app")]["machines"]
    # A person's console, in which one command after the other fails
    console = {"config": {"metadata": {"fly_process_group": "fly_app_console"}}}
    number = str(len((FOLDER / "calls").read_text().splitlines()))
    console |= {"id": "c1", "events": [exit_event(number, 1)]}
    print(json.dumps([console, *(show(*machine) for machine in machines)]))


def show(name, group, image, previous=""):
    if not image:  # Its host is unreachable, so nothing else is known.
        return {"id": name, "host_status": "unreachable"}
    config = {"image": image, "metadata": {"fly_process_group": group}}
    events = [
        *crash("5", group, image),
        {"id": "4", "type": "start", "request": None},
        {"id": "3", "type": "update", "request": None},
        exit_event("2", 143, requested_stop=True),
        *crash("1", group, previous),
    ]
    return {"id": name, "state": "started", "config": config, "events": events}


def crash(event, group, image):
    """Return the event of a crash, if a machine with this image crashes."""
    found = crashes(group, image.partition("@sha256:")[2][:40])
    return found * [exit_event(event, 1)]


def exit_event(event, code, requested_stop=False):
    ended = {"requested_stop": requested_stop, "exit_code": code}
    return {"id": event, "type": "exit", "request": {"exit_event": ended}}


def set_secret():
    """Restart each machine with the newest image, even if its release failed."""
    with State() as state:
        releases = state[option("--app")]["releases"]
    start_release(option("--app"), releases[0]["ImageRef"], "complete")


def deploy():
    import tomllib  # Slow to import, and of no use to other commands

    app, image = option("--app"), option("--image")
    configuration = tomllib.loads(File(option("--config")).read_text())
    back = "back-" * ("--skip-release-command" in sys.argv)
    with State() as state:
        known = image.partition("@")[2] in state[app]["registry"]
    if not known or fails(f"{back}image"):
        sys.exit(f"Error: failed to fetch an image: Could not find image {image}")
    start_release(app, image, "running")
    if not back and configuration["deploy"]["release_command"]:
        migrate(app, image)
    for group in configuration["processes"]:
        replace(app, group, image, f"{back}{group}")
    end_release(app, "complete")


def start_release(app, image, status):
    with State() as state:
        releases = state[app]["releases"]
        number = releases[0]["Version"] + 1 if releases else 1
        new = {"Version": number, "Status": status, "ImageRef": image}
        releases.insert(0, new)
        del releases[25:]


def end_release(app, status):
    with State() as state:
        state[app]["releases"][0]["Status"] = status


def migrate(app, image):
    failed = fails("migrate")
    with State() as state:
        state[app]["machines"].append(["m0", "fly_app_release_command", image])
    if failed:
        end_release(app, "failed")
        sys.exit("Error: release command failed - aborting deployment.")
    with State() as state:
        state[app]["machines"].pop()


def replace(app, group, image, step):
    """Replace the image of a group's machines; stop at the first group that fails."""
    with State() as state:
        machines = state[app]["machines"]
        if not any(machine[1] == group for machine in machines):
            machines.append([f"m{len(machines) + 1}", group, image])
        for machine in machines:
            if machine[1] == group and machine[2]:
                machine[2:] = [image, machine[2]]
    if fails(step):
        end_release(app, "failed")
        sys.exit("Error: timeout reached waiting for health checks to pass")
    site = app if group == "web" else f"{app}-{group}"
    serve(site, re.search("@sha256:([0-9a-f]{40})", image)[1])


COMMANDS = {
    "auth docker": log_in,
    "deploy": deploy,
    "machine list": list_machines,
    "releases": list_releases,
    "secrets set": set_secret,
}


def main():
    """Run the command that sys.argv names."""
    record()
    check_key()
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]
    COMMANDS[" ".join(words)]()
