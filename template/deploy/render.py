"""Render: each service of render.yaml runs the same artifact, an image or a commit.

render_image.py or render_commit.py knows what that is, as `runs` in environments.toml says.
The pre-deploy command of the first service migrates, before that service is switched.
"""

import importlib

from commands import Failed, NotReplaced, Refused, read, run

TOOLS = ("git", "render")
VARIABLES = ("RENDER_API_KEY", "RENDER_WORKSPACE")
CANCELLED = "What Render had begun is cancelled"

QUIET = ("--confirm", "--output", "json")
RAN = ("live", "deactivated")
ENDED = ("build_failed", "canceled", "pre_deploy_failed", "update_failed")
REASONS = {
    "canceled": "somebody cancelled it in Render",
    "pre_deploy_failed": "the pre-deploy command, which migrates, failed",
    "update_failed": "the new release did not pass Render's health check",
}


def check(environment, release):
    find_services(environment)
    artifacts(environment).check(environment, release, history)


def history(environment):
    """Return (artifact, artifact) of what ran, newest first."""
    service = find_services(environment)[0]
    ran = [deploy for deploy in find_deploys(service) if deploy["status"] in RAN]
    ran.sort(key=lambda deploy: deploy["status"] != "live")
    found = [artifacts(environment).find_in(deploy) for deploy in ran]
    return [(artifact, artifact) for artifact in found]


def switch(environment, release):
    first, *others = find_services(environment)
    artifact = artifacts(environment).find(release)
    known = [deploy["id"] for deploy in find_deploys(first)]
    try:
        start(environment, first, artifact)
    except Failed as error:
        made = [it for it in find_deploys(first) if it["id"] not in known]
        # A deploy that Render refuses is not even made.
        if not made:
            raise NotReplaced(str(error)) from error
        reasons = REASONS | {"build_failed": artifacts(environment).BUILD_FAILED}
        status = made[0]["status"]
        if status in reasons:
            raise NotReplaced(reasons[status]) from error
        raise
    for service in others:
        start(environment, service, artifact)


def go_back(environment, reference):
    for service in find_services(environment):
        for deploy in find_deploys(service):
            if deploy["status"] not in RAN + ENDED:
                run("render", "deploys", "cancel", service, deploy["id"], *QUIET)
        running = [
            artifacts(environment).find_in(deploy)
            for deploy in find_deploys(service)
            if deploy["status"] == "live"
        ]
        if running != [reference]:
            start(environment, service, reference)


def hand_on(environment, release):
    artifacts(environment).hand_on(environment, release)


def artifacts(environment):
    """Return the module that knows what the services run."""
    return importlib.import_module(f"render_{environment.settings['runs']}")


def find_services(environment):
    """Return the ids of the environment's services, in the order of its settings."""
    listed = read("render", "services", "--output", "json")
    found = [item["service"] for item in listed if "service" in item]
    can_run = artifacts(environment).can_run
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


def start(environment, service, artifact):
    """Switch the service to an artifact; Render keeps the old one if it fails."""
    what = (artifacts(environment).OPTION, artifact)
    run("render", "deploys", "create", service, *what, "--wait", *QUIET)
