"""Kamal: a container migrates, then a proxy on the server switches to one that is ready.

Kamal's settings stand in deploy/kamal; the image comes from here.
"""

import contextlib
import itertools
import os
from pathlib import Path

from commands import Failed, NotReplaced, Refused, read, run
from image import check_image, find_image
from image import hand_on as hand_on

TOOLS = ("git", "kamal")
VARIABLES = ()
CANCELLED = "What Kamal had begun may go on, on the server"

SETTINGS = "--config-file=deploy/kamal/deploy.yml"
REGISTRY_VARIABLES = ("REGISTRY_USER", "REGISTRY_PASSWORD")  # A rollback pulls nothing.
KNOWN_HOSTS = Path(".cache", "known_hosts")  # as deploy/kamal/ssh_config says
MIGRATE = "python manage.py migrate --noinput"
RUNNING = ("running", "restarting")
# Not all of it: its environment has the secrets.
CONTAINER = (
    '{"id": {{ json .Id }}, "role": {{ json .Config.Labels.role }}, '
    '"image": {{ json .Config.Image }}, "state": {{ json .State.Status }}},'
)


def check(environment, release):
    check_image(environment, release)
    missing = [name for name in REGISTRY_VARIABLES if not os.environ.get(name)]
    if missing:
        raise Refused(f"Set {' and '.join(missing)}, as docs/deployment.md says.")
    kamal(environment, "registry", "login", "--skip-local")
    # What a person puts there once, and each container needs.
    kamal(environment, "server", "exec", f"test -s {find_service(environment)}.env")


def history(environment):
    """Return (image, image) of what runs, and of what was made before it.

    What was made after it is what somebody went back from.
    """
    web = [it for it in find_containers(environment) if it["role"] == "web"]
    ran = itertools.dropwhile(lambda it: it["state"] not in RUNNING, web)
    return [(it["image"], it["image"]) for it in ran]


def migrate(environment, release):
    """Get the image to the servers, and run the migration in a container on one of them."""
    name, digest = find_image()
    folder = f".kamal/apps/{find_service(environment)}/env/roles"
    script = (
        # Kamal names an image by its tag, which may move in the registry: a digest cannot.
        f"docker pull {name}@{digest} && docker tag {name}@{digest} {name}:{release}"
        # What Kamal reads here and makes only later: basecamp/kamal#1700.
        f" && mkdir -p {folder} && touch {folder}/web.env"
    )
    with locked(environment):
        kamal(environment, "prune", "all")
        kamal(environment, "proxy", "boot")
        kamal(environment, "server", "exec", script)
        once = ("--primary", "--roles=web", f"--version={release}")
        kamal(environment, "app", "exec", *once, MIGRATE)


def switch(environment, release):
    with locked(environment):
        before = find_containers(environment)
        try:
            boot(environment, release)
        except Failed as error:
            after = find_containers(environment)
            if find_running(after) != find_running(before):
                raise
            # What never served is nothing to go back to.
            for it in after[: len(after) - len(before)]:
                remove = ("--primary", f"docker rm {it['id']}")
                kamal(environment, "server", "exec", *remove)
            reason = "the new container did not become ready, as the log above says"
            raise NotReplaced(reason) from error


def go_back(environment, reference):
    os.environ["IMAGE"], _, release = reference.rpartition(":")
    with locked(environment):
        running = find_running(find_containers(environment))
        if {it["image"] for it in running} != {reference}:
            boot(environment, release)


def boot(environment, release):
    """Start a release beside what runs; once it is ready, it takes over."""
    kamal(environment, "app", "boot", f"--version={release}")
    # What a Kamal that was killed has left
    kamal(environment, "app", "stale_containers", "--stop")


@contextlib.contextmanager
def locked(environment):
    """Hold Kamal's lock: a Kamal that is killed would leave its own behind."""
    try:
        kamal(environment, "lock", "acquire", "--message=make")
    except Failed as error:
        reason = "unless it says otherwise above, another delivery holds the lock"
        raise Failed(f"{error}: {reason}") from error
    os.environ["KAMAL_LOCK"] = "true"
    try:
        yield
    finally:
        del os.environ["KAMAL_LOCK"]
        kamal(environment, "lock", "release")


def kamal(environment, *arguments):
    run(*command(environment, *arguments))


def command(environment, *arguments):
    # Whose keys a server has, is no secret; Kamal reads it from a file.
    KNOWN_HOSTS.write_text(os.environ.get("SSH_KNOWN_HOSTS", "") + "\n")
    return ("kamal", *arguments, SETTINGS, f"--destination={environment.name}")


def find_service(environment):
    """Return what Kamal calls the project in this environment."""
    return f"{environment.settings['service']}-{environment.name}"


def find_containers(environment):
    """Return the containers that the first server has of this environment, newest first."""
    filters = (
        f"--filter label=service={environment.settings['service']} "
        f"--filter label=destination={environment.name}"
    )
    script = (
        f"ids=$(docker ps --all --quiet {filters}) && echo '['"
        f""" && if [ "$ids" ]; then docker inspect --format '{CONTAINER}' $ids; fi"""
        " && echo '{}]'"
    )
    options = ("--primary", "--quiet")
    return read(*command(environment, "server", "exec", *options, script))[:-1]


def find_running(containers):
    return [it for it in containers if it["state"] in RUNNING]
