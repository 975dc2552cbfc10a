"""Fly.io: the registry of the app gets a copy of the image, then each machine runs it.

The release command of the configuration migrates, within the switch, before any machine
is replaced. The configurations stand in deploy/fly.
"""

import shutil

from commands import Failed, NotReplaced, Refused, read, run
from image import check_image, find_image
from image import hand_on as hand_on

TOOLS = ("git", "flyctl")
VARIABLES = ("FLY_API_TOKEN",)
CANCELLED = "A release command that has begun goes on at Fly.io"

REGISTRY = "registry.fly.io"
MIGRATES = "fly_app_release_command"  # the process group of the machine that migrates


def check(environment, release):
    check_image(environment, release, history)
    # Only a new image needs it: the way back does not.
    if not shutil.which("docker"):
        raise Refused("Install docker, then try again.")


def history(environment):
    """Return (image, image) of what runs, and of what ran before it."""
    ran = [
        release["ImageRef"]
        for release in find_releases(environment)
        if release["Status"] == "complete" and release["ImageRef"]
    ]
    # A secret that is set makes a release of the newest image, even if that one failed:
    # only the machines know what runs.
    running = find_machines(environment).values()
    newest = next((n for n, image in enumerate(ran) if image in running), 0)
    return [(image, image) for image in ran[newest:]]


def switch(environment, release):
    newest, machines = find_releases(environment)[:1], find_machines(environment)
    try:
        deploy(environment, copy_image(environment, release))
    except Failed as error:
        if find_machines(environment) != machines:
            raise
        if find_releases(environment)[:1] == newest:
            raise NotReplaced(str(error)) from error
        raise NotReplaced(
            "the release command, which migrates, failed, or no machine could be "
            "changed: see the log above"
        ) from error


def go_back(environment, reference):
    deploy(environment, reference, "--skip-release-command")


def find_releases(environment):
    """Return the app's latest releases, newest first."""
    app = environment.settings["app"]
    return read("flyctl", "releases", "--app", app, "--json")


def find_machines(environment):
    """Return the image of each machine, by its id, but of the one that migrates."""
    app = environment.settings["app"]
    images = {}
    for machine in read("flyctl", "machine", "list", "--app", app, "--json"):
        config = machine.get("config", {})  # Nobody knows it while its host is lost.
        if config.get("metadata", {}).get("fly_process_group") != MIGRATES:
            images[machine["id"]] = config.get("image")
    return images


def copy_image(environment, release):
    """Copy the image to where Fly.io may read it; return its name there."""
    name, digest = find_image()
    copied = f"{REGISTRY}/{environment.settings['app']}"
    run("flyctl", "auth", "docker")
    # Without an index around it, if it has none: that would be another digest.
    options = ("--prefer-index=false", "--tag", f"{copied}:{release}")
    run("docker", "buildx", "imagetools", "create", *options, f"{name}@{digest}")
    return f"{copied}@{digest}"


def deploy(environment, image, *options):
    app = environment.settings["app"]
    config = f"deploy/fly/{environment.name}.toml"
    where = ("--app", app, "--config", config)
    run("flyctl", "deploy", *where, "--image", image, *options)
