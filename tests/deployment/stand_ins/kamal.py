"""A stand-in for Kamal and the server behind it. An image is called NAME:COMMIT."""

import json
import os
import re
import sys

from stand_in import State, crashes, fails, record, serve

WORDS = [word for word in sys.argv[1:] if not word.startswith("--")]
OPTIONS = dict(word.split("=") for word in sys.argv[1:] if re.match("--[a-z-]+=", word))
SITE = f"my-project-{OPTIONS['--destination']}"
ROLES = ("web", "worker", "beat")
PULL = r"docker pull (\S+) && docker tag \1 (\S+) && mkdir -p (\S+) && touch \3/web.env"


def lock():
    with State() as state:
        if state[SITE]["locked"]:
            sys.exit("ERROR (Kamal::Cli::LockError): Deploy lock found.")
        state[SITE]["locked"] = True
    fails("lock")


def unlock():
    fails("unlock")
    with State() as state:
        state[SITE]["locked"] = False


def log_in():
    with State() as state:
        state[SITE]["logged_in"] = True


def log_out():
    if fails("logout"):
        sys.exit("ERROR (SSHKit::Runner::ExecuteError): Connection timed out")
    with State() as state:
        state[SITE]["logged_in"] = False


def on_server():
    """Run a script of deploy/kamal.py."""
    (script,) = WORDS[2:]
    with State() as state:
        server = state[SITE]
        if script.startswith("ids=$(docker ps --all"):
            found = [
                it
                | {"restarts": 3 * crashes(it["role"], it["image"].rpartition(":")[2])}
                for it in server["containers"]
            ]
            print(json.dumps([*found, {}]), end="\n\n")
        elif script.startswith("docker rm "):
            gone = script.removeprefix("docker rm ")
            server["containers"] = [
                it for it in server["containers"] if it["id"] != gone
            ]
        elif pulled := re.fullmatch(PULL, script):
            if not server["logged_in"]:
                sys.exit("ERROR (SSHKit::Command::Failed): unauthorized")
            server["images"] |= {pulled[2]: pulled[1]}
        elif script != f"test -s {SITE}.env" or not server["settings"]:
            sys.exit("ERROR (SSHKit::Command::Failed): exit status: 1")


def execute():
    with State() as state:
        find_image(state[SITE])
        state[SITE]["logged_in"] = True  # as Kamal does
    if fails("migrate"):
        sys.exit("ERROR (SSHKit::Command::Failed): docker exit status: 1")


def find_image(server):
    """Return the image to run, which must be on the server."""
    image = f"{os.environ['IMAGE'].partition('@')[0]}:{OPTIONS['--version']}"
    if image not in server["images"]:
        sys.exit(f"ERROR (SSHKit::Command::Failed): No such image: {image}")
    return image


def boot():
    for role in ROLES:
        site = SITE if role == "web" else f"{SITE}-{role}"
        with State() as state:
            containers, image = state[SITE]["containers"], find_image(state[SITE])
            new = {"id": str(len(containers) + 1), "role": role, "image": image}
            ran = any(it["image"] == image for it in containers if it["role"] == role)
            containers.insert(0, new | {"state": "running"})
        # Only a new release can fail.
        failed = fails("back" if ran else role)
        stop(role, lambda it, new=new, failed=failed: (it["id"] == new["id"]) == failed)
        if failed:
            sys.exit("ERROR (SSHKit::Command::Failed): target failed to become healthy")
        serve(site, OPTIONS["--version"])
    with State() as state:
        state[SITE]["latest"] = image


def stop(role, condition):
    with State() as state:
        for it in state[SITE]["containers"]:
            if it["role"] == role and condition(it):
                it["state"] = "exited"


def stop_stale():
    with State() as state:
        latest = state[SITE]["latest"]
    for role in ROLES:
        stop(role, lambda it: it["image"] != latest)


COMMANDS = {
    "app boot": boot,
    "app exec": execute,
    "app stale_containers": stop_stale,
    "lock acquire": lock,
    "lock release": unlock,
    "proxy boot": log_in,
    "prune all": lambda: None,
    "registry login": log_in,
    "registry logout": log_out,
    "server exec": on_server,
}


def main():
    """Run the command that sys.argv names."""
    record()
    COMMANDS[" ".join(WORDS[:2])]()
