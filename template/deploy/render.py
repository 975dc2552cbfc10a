"""Render: each service of render.yaml builds and runs the same commit.

The pre-deploy command of the first service migrates, before that service is switched.
"""

from commands import Failed, NotReplaced, Refused, read, run

TOOLS = ("git", "render")
VARIABLES = ("RENDER_API_KEY", "RENDER_WORKSPACE")
CANCELLED = "What Render had begun is cancelled"

QUIET = ("--confirm", "--output", "json")
RAN = ("live", "deactivated")
ENDED = ("build_failed", "canceled", "pre_deploy_failed", "update_failed")
REASONS = {
    "build_failed": "the build failed",
    "canceled": "somebody cancelled it in Render",
    "pre_deploy_failed": "the pre-deploy command, which migrates, failed",
    "update_failed": "the new release did not pass Render's health check",
}


def check(environment):
    find_services(environment)


def history(environment):
    """Return (commit, commit) of what ran, newest first."""
    service = find_services(environment)[0]
    ran = [deploy for deploy in find_deploys(service) if deploy["status"] in RAN]
    ran.sort(key=lambda deploy: deploy["status"] != "live")
    return [(deploy["commit"]["id"], deploy["commit"]["id"]) for deploy in ran]


def switch(environment, release):
    first, *others = find_services(environment)
    try:
        start(first, release)
    except Failed as error:
        status = find_deploys(first)[0]["status"]
        if status in REASONS:
            raise NotReplaced(REASONS[status]) from error
        raise
    for service in others:
        start(service, release)


def go_back(environment, reference):
    for service in find_services(environment):
        for deploy in find_deploys(service):
            if deploy["status"] not in RAN + ENDED:
                run("render", "deploys", "cancel", service, deploy["id"], *QUIET)
        running = [
            deploy for deploy in find_deploys(service) if deploy["status"] == "live"
        ]
        if [deploy["commit"]["id"] for deploy in running] != [reference]:
            start(service, reference)


def find_services(environment):
    """Return the ids of the environment's services, in the order of its settings."""
    listed = read("render", "services", "--output", "json")
    found = [item["service"] for item in listed if "service" in item]
    ids = {service["name"]: service["id"] for service in found}
    names = environment.settings["services"]
    missing = [name for name in names if name not in ids]
    if missing:
        raise Refused(
            f"Render has no service {' and '.join(missing)}: apply render.yaml."
        )
    return [ids[name] for name in names]


def find_deploys(service):
    """Return the service's latest deploys, newest first."""
    return read("render", "deploys", "list", service, "--output", "json")


def start(service, commit):
    """Build a commit and switch the service to it; Render keeps the old one if it fails."""
    run("render", "deploys", "create", service, "--commit", commit, "--wait", *QUIET)
