"""Kamal: a container migrates, then the proxy on the server switches to a new one.

Kamal's settings are in deploy/kamal; this module sets the image.
"""

import contextlib
import itertools
import os
from pathlib import Path

from commands import Failed, NotReplaced, Refused, read, run, uncancelled
from image import check_image, find_image
from image import record_promotion as record_promotion

TOOLS = ("git", "kamal")
VARIABLES = ()
CANCELLED = "The server may finish what Kamal has started"

SETTINGS = "--config-file=deploy/kamal/deploy.yml"
REGISTRY_VARIABLES = ("REGISTRY_USER", "REGISTRY_PASSWORD")  # a rollback pulls nothing
KNOWN_HOSTS = Path(".cache", "known_hosts")  # named in deploy/kamal/ssh_config
MIGRATE = "python manage.py migrate --noinput"
RUNNING = ("running", "restarting")
# Only these keys, because the environment of a container contains the secrets.
CONTAINER = (
    '{"id": {{ json .Id }}, "role": {{ json .Config.Labels.role }}, '
    '"image": {{ json .Config.Image }}, "state": {{ json .State.Status }}, '
    '"restarts": {{ json .RestartCount }}},'
)


def check(environment, release):
    """Raise Refused or Failed if the image, the registry or the secrets are missing."""
    check_image(environment, release)
    missing = [name for name in REGISTRY_VARIABLES if not os.environ.get(name)]
    if missing:
        raise Refused(f"Set {' and '.join(missing)}: see docs/deployment.md.")
    with registry_login(environment):
        # The file with the secrets, which each container needs.
        kamal(environment, "server", "exec", f"test -s {find_service(environment)}.env")


def history(environment):
    """Return (image, image) of the running container and of those created before it.

    Those created after it were rolled back.
    """
    web = [it for it in find_containers(environment) if it["role"] == "web"]
    ran = itertools.dropwhile(lambda it: it["state"] not in RUNNING, web)
    return [(it["image"], it["image"]) for it in ran]


def migrate(environment, release):
    """Pull the image on each server, and migrate in a container on the first one."""
    name, digest = find_image()
    folder = f".kamal/apps/{find_service(environment)}/env/roles"
    script = (
        # Kamal pulls by tag, and a tag can move in the registry; a digest cannot.
        f"docker pull {name}@{digest} && docker tag {name}@{digest} {name}:{release}"
        # Kamal reads this file before it creates it: basecamp/kamal#1700.
        f" && mkdir -p {folder} && touch {folder}/web.env"
    )
    with locked(environment), registry_login(environment):
        kamal(environment, "prune", "all")
        kamal(environment, "proxy", "boot")
        kamal(environment, "server", "exec", script)
        once = ("--primary", "--roles=web", f"--version={release}")
        kamal(environment, "app", "exec", *once, MIGRATE)


def switch(environment, release):
    """Start a release, and stop the previous one once it is ready.

    Raise NotReplaced if the previous one still serves, and Failed if that is uncertain.
    """
    with locked(environment):
        before = find_containers(environment)
        try:
            boot(environment, release)
        except Failed as error:
            after = find_containers(environment)
            if find_running(after) != find_running(before):
                raise
            # A container that never served must not be in the history.
            for it in after[: len(after) - len(before)]:
                remove = ("--primary", f"docker rm {it['id']}")
                kamal(environment, "server", "exec", *remove)
            reason = "the new container did not become ready: see the log above"
            raise NotReplaced(reason) from error


def crashes(environment, release):
    """Return the release's containers that Docker has restarted, on the first server."""
    return {
        f"{it['role']} ({it['restarts']} restarts of the container {it['id'][:12]})"
        for it in find_running(find_containers(environment))
        if it["restarts"] and it["image"].endswith(f":{release}")
    }


def roll_back(environment, reference):
    """Start the containers of an earlier release again, unless they run."""
    os.environ["IMAGE"], _, release = reference.rpartition(":")
    with locked(environment):
        running = find_running(find_containers(environment))
        if {it["image"] for it in running} != {reference}:
            boot(environment, release)


def boot(environment, release):
    """Start a release next to the running one, and switch once it is ready."""
    kamal(environment, "app", "boot", f"--version={release}")
    # A deployment that was killed may have left containers.
    kamal(environment, "app", "stale_containers", "--stop")


@contextlib.contextmanager
def locked(environment):
    """Hold Kamal's lock and release it: a Kamal that is killed leaves its own behind."""
    with contextlib.ExitStack() as stack:
        with uncancelled():
            try:
                kamal(environment, "lock", "acquire", "--message=make")
            except Failed as error:
                reason = "another deployment holds the lock, or see the error above"
                raise Failed(f"{error}: {reason}") from error
            os.environ["KAMAL_LOCK"] = "true"
            stack.callback(unlock, environment)
        yield


def unlock(environment):
    del os.environ["KAMAL_LOCK"]
    with uncancelled():
        kamal(environment, "lock", "release")


@contextlib.contextmanager
def registry_login(environment):
    """Log each server in to the registry, and log it out, because Docker saves the password.

    Some commands of Kamal log in as well, but none logs out.
    """
    try:
        kamal(environment, "registry", "login", "--skip-local")
        yield
    finally:
        with uncancelled():
            log_out(environment)


def log_out(environment):
    try:
        kamal(environment, "registry", "logout", "--skip-local")
    except Failed as error:
        print(
            f"A server may still have the password of the registry: {error}."
            " Run `docker logout` there, or deploy again.",
            flush=True,
        )


def kamal(environment, *arguments):
    """Run Kamal for this environment; raise Failed if it fails."""
    run(*command(environment, *arguments))


def command(environment, *arguments):
    """Return the command that runs Kamal for this environment."""
    # Kamal reads the public keys of the servers from a file.
    KNOWN_HOSTS.write_text(os.environ.get("SSH_KNOWN_HOSTS", "") + "\n")
    return ("kamal", *arguments, SETTINGS, f"--destination={environment.name}")


def find_service(environment):
    """Return Kamal's name of the project in this environment."""
    return f"{environment.settings['service']}-{environment.name}"


def find_containers(environment):
    """Return the environment's containers on the first server, newest first."""
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
