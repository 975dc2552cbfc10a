"""Render: all services of an environment run the same artifact, an image or a commit.

`runs` in environments.toml selects render_image.py or render_commit.py. Render runs the
pre-deploy command of the first service, which migrates, before it switches that service.
"""

import importlib
import json
import os
import urllib.request
from urllib.parse import urlencode

from commands import Failed, NotReplaced, Refused, read, run
from pages import REQUEST_ERRORS, describe

TOOLS = ("git", "render")
VARIABLES = ("RENDER_API_KEY", "RENDER_WORKSPACE")
CANCELLED = "A rollback cancels the deploys that Render has started"

TIMEOUT = 30  # seconds for a query without the command line
QUIET = ("--confirm", "--output", "json")
RAN = ("live", "deactivated")
ENDED = ("build_failed", "canceled", "pre_deploy_failed", "update_failed")
REASONS = {
    "canceled": "it was cancelled in Render",
    "pre_deploy_failed": "the pre-deploy command, which migrates, failed or took longer than "
    "30 minutes",
    "update_failed": "the new release did not pass Render's health check",
}


def check(environment, release):
    """Raise Refused for missing services, or for a release that may not be deployed."""
    find_services(environment)
    artifact_module(environment).check(environment, release, history)


def history(environment):
    """Return (artifact, artifact) of the deploys that ran, newest first."""
    service = find_services(environment)[0]
    ran = [deploy for deploy in find_deploys(service) if deploy["status"] in RAN]
    ran.sort(key=lambda deploy: deploy["status"] != "live")
    found = [artifact_module(environment).read_deploy(deploy) for deploy in ran]
    return [(artifact, artifact) for artifact in found]


def switch(environment, release):
    """Deploy a release to the first service, which migrates, then to the others.

    Raise NotReplaced if Render kept the previous release of the first one.
    """
    first, *others = find_services(environment)
    artifact = artifact_module(environment).find_release(release)
    known = [deploy["id"] for deploy in find_deploys(first)]
    try:
        create_deploy(environment, first, artifact)
    except Failed as error:
        made = [it for it in find_deploys(first) if it["id"] not in known]
        # Render creates no deploy for a request that it rejects.
        if not made:
            raise NotReplaced(str(error)) from error
        reasons = REASONS | {"build_failed": artifact_module(environment).BUILD_FAILED}
        status = made[0]["status"]
        if status in reasons:
            raise NotReplaced(reasons[status]) from error
        raise
    for service in others:
        create_deploy(environment, service, artifact)


def crashes(environment, release):
    """Return the crashes of each service since its running deploy went live."""
    services = zip(
        environment.settings["services"], find_services(environment), strict=True
    )
    return {
        f"{name} ({item['event']['id']})"
        for name, service in services
        for deploy in find_deploys(service)
        if deploy["status"] == "live"
        for item in read_crashes(service, deploy["finishedAt"])
    }


def roll_back(environment, reference):
    """Cancel the deploys that have not ended, and deploy what ran before."""
    for service in find_services(environment):
        for deploy in find_deploys(service):
            if deploy["status"] not in RAN + ENDED:
                run("render", "deploys", "cancel", service, deploy["id"], *QUIET)
        running = [
            artifact_module(environment).read_deploy(deploy)
            for deploy in find_deploys(service)
            if deploy["status"] == "live"
        ]
        if running != [reference]:
            create_deploy(environment, service, reference)


def record_promotion(environment, release):
    artifact_module(environment).record_promotion(environment, release)


def artifact_module(environment):
    """Return the module for images or for commits."""
    return importlib.import_module(f"render_{environment.settings['runs']}")


def find_services(environment):
    """Return the ids of the environment's services, in the order of its settings."""
    listed = read("render", "services", "--output", "json")
    found = [item["service"] for item in listed if "service" in item]
    can_run = artifact_module(environment).can_run
    ids = {service["name"]: service["id"] for service in found if can_run(service)}
    names = environment.settings["services"]
    missing = " and ".join(name for name in names if name not in ids)
    if missing:
        raise Refused(
            f"Render has no {environment.settings['runs']}-backed service {missing}: "
            "apply render.yaml."
        )
    return [ids[name] for name in names]


def find_deploys(service):
    """Return the service's latest deploys, newest first."""
    return read("render", "deploys", "list", service, "--output", "json")


def read_crashes(service, since):
    """Return the events of a service's crashes, which the command line cannot list."""
    query = urlencode({"type": "server_failed", "startTime": since})
    host = os.environ.get("RENDER_HOST", "https://api.render.com/v1/")
    request = urllib.request.Request(
        f"{host.rstrip('/')}/services/{service}/events?{query}",
        headers={"Authorization": f"Bearer {os.environ['RENDER_API_KEY']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except REQUEST_ERRORS as error:
        # The text of an error can contain the key.
        raise Failed(
            f"Render did not list the events of {service}: {describe(error)}"
        ) from error


def create_deploy(environment, service, artifact):
    """Switch a service to an artifact; Render keeps the previous one if that fails."""
    what = (artifact_module(environment).OPTION, artifact)
    run("render", "deploys", "create", service, *what, "--wait", *QUIET)
