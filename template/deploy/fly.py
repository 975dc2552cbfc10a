"""Fly.io: copy the image to the app's registry, then replace each machine.

Fly.io runs the release command, which migrates, before it replaces a machine. The
configuration is in deploy/fly.
"""

import itertools
import shutil
import tomllib
from pathlib import Path

from commands import Failed, NotReplaced, Refused, TimedOut, read, run
from image import check_image, find_image
from image import record_promotion as record_promotion

TOOLS = ("git", "flyctl")
VARIABLES = ("FLY_API_TOKEN",)
CANCELLED = "Fly.io finishes a release command that has started"

REGISTRY = "registry.fly.io"
DEPLOY_TIMEOUT = 5400  # seconds: an hour for the release command, the rest for machines
MIGRATION_GROUP = "fly_app_release_command"  # the process group of the release command
REPLACED = ("launch", "update")  # events, after which a machine runs another release


def check(environment, release):
    """Raise Refused without a permitted image, or without Docker to copy it."""
    check_image(environment, release, history)
    # Only a deployment copies an image, so a rollback works without Docker.
    if not shutil.which("docker"):
        raise Refused("Install docker, then try again.")


def history(environment):
    """Return (image, image) of the running release and of the earlier ones."""
    ran = [
        release["ImageRef"]
        for release in find_releases(environment)
        if release["Status"] == "complete" and release["ImageRef"]
    ]
    # Setting a secret creates a release with the newest image, even if that one failed,
    # so only the machines show which image runs.
    running = find_machines(environment).values()
    newest = next((n for n, image in enumerate(ran) if image in running), 0)
    return [(image, image) for image in ran[newest:]]


def switch(environment, release):
    """Deploy a release, which migrates first.

    Raise NotReplaced if no machine was changed, and Failed if one may have been.
    """
    newest, machines = find_releases(environment)[:1], find_machines(environment)
    try:
        deploy(environment, copy_image(environment, release))
    except Failed as error:
        if find_machines(environment) != machines:
            raise
        if isinstance(error, TimedOut) or find_releases(environment)[:1] == newest:
            raise NotReplaced(str(error)) from error
        raise NotReplaced(
            "the release command, which migrates, failed or took longer than an hour, "
            "or no machine could be changed: see the log above"
        ) from error


def crashes(environment, release):
    """Return the crashes of each machine since it was created or updated."""
    app = environment.settings["app"]
    configuration = tomllib.loads(Path(find_configuration(environment)).read_text())
    return {
        f"the machine {machine['id']} (event {event['id']})"
        for machine in read("flyctl", "machine", "list", "--app", app, "--json")
        # A person's console and a scheduled machine are in no group of the app.
        if find_group(machine) in configuration["processes"]
        for event in itertools.takewhile(
            lambda event: event["type"] not in REPLACED,
            machine.get("events") or [],  # newest first
        )
        if event["type"] == "exit" and is_crash(event)
    }


def is_crash(event):
    """Return whether a process ended by itself, with an error."""
    ended = (event.get("request") or {}).get("exit_event") or {}
    return not ended.get("requested_stop") and ended.get("exit_code", 0) != 0


def roll_back(environment, reference):
    """Deploy the image of an earlier release, without its migration."""
    deploy(environment, reference, "--skip-release-command")


def find_releases(environment):
    """Return the app's latest releases, newest first."""
    app = environment.settings["app"]
    return read("flyctl", "releases", "--app", app, "--json")


def find_machines(environment):
    """Return the image of each machine by its id, without the one that migrates."""
    app = environment.settings["app"]
    images = {}
    for machine in read("flyctl", "machine", "list", "--app", app, "--json"):
        if find_group(machine) != MIGRATION_GROUP:
            images[machine["id"]] = machine.get("config", {}).get("image")
    return images


def find_group(machine):
    """Return the process group of a machine, unless its host is unreachable."""
    return machine.get("config", {}).get("metadata", {}).get("fly_process_group")


def find_configuration(environment):
    return f"deploy/fly/{environment.name}.toml"


def copy_image(environment, release):
    """Copy the image to the app's registry; return its name there."""
    name, digest = find_image()
    copied = f"{REGISTRY}/{environment.settings['app']}"
    run("flyctl", "auth", "docker")
    # By default, Docker would wrap the image in an index, which has another digest.
    options = ("--prefer-index=false", "--tag", f"{copied}:{release}")
    run("docker", "buildx", "imagetools", "create", *options, f"{name}@{digest}")
    return f"{copied}@{digest}"


def deploy(environment, image, *options):
    """Replace the machines of the app by machines that run this image."""
    app = environment.settings["app"]
    where = ("--app", app, "--config", find_configuration(environment))
    command = ("flyctl", "deploy", *where, "--image", image, *options)
    run(*command, timeout=DEPLOY_TIMEOUT)
