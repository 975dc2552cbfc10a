"""A stand-in for Render's command line. The digest of an image begins with its commit."""

import json
import sys
from datetime import UTC, datetime

from stand_in import State, crashes, fails, option, record, serve


def list_services():
    with State() as state:
        services = [
            {"service": {"id": f"srv-{name}", "name": name} | service["source"]}
            for name, service in state.items()
        ]
    print(json.dumps([*services, {"postgres": {"id": "dpg-1", "name": "db"}}]))


def list_deploys():
    with State() as state:
        print(json.dumps(state[name_of(sys.argv[3])]["deploys"]))


def create():
    name = name_of(sys.argv[3])
    _, _, role = name.rpartition("-")
    role = role if role in ("worker", "beat") else "web"
    with State() as state:
        service = state[name]
        artifact = find_artifact(service)
        if fails(f"{role}:refused"):
            sys.exit("received response code 400: bad request")
        deploys = service["deploys"]
        back = any(artifact.items() <= old.items() for old in deploys)
        deploy = {"id": f"dep-{len(deploys) + 1}", "status": "build_in_progress"}
        deploys.insert(0, deploy | artifact)
    status = find_status(f"{role}-back" if back else role)
    with State() as state:
        deploys = state[name]["deploys"]
        for old in deploys:
            if old["status"] == "live":
                crash(state[name], role, old)
        if status == "live":
            for old in deploys:
                if old["status"] == "live":
                    old["status"] = "deactivated"
        deploys[0] |= {"status": status, "finishedAt": now()}
    print(json.dumps(deploys[0]))
    if status != "live":
        sys.exit(1)
    serve(name, commit_of(artifact))
    with State() as state:
        crash(state[name], role, artifact)


def crash(service, role, artifact):
    """Add an event to the service, and one more if this artifact crashes."""
    events = service.setdefault("events", [])
    kinds = ["server_available"]
    kinds += ["server_failed"] * crashes(role, commit_of(artifact))
    for kind in kinds:
        event = {"id": f"evt-{len(events)}", "timestamp": now(), "type": kind}
        events.append({"event": event})


def now():
    return datetime.now(UTC).isoformat()


def find_artifact(service):
    """Return the artifact to deploy, which must match the type of the service."""
    if "imagePath" not in service["source"]:
        return {"commit": {"id": option("--commit")}}
    image = option("--image")
    if image.partition("@")[0] != service["source"]["imagePath"].partition("@")[0]:
        sys.exit("the host, repository, and image name must match")
    # Render resolves it to the image of one platform, which has another digest.
    return {"image": {"ref": image, "sha": f"sha256:{64 * '0'}"}}


def commit_of(artifact):
    if "commit" in artifact:
        return artifact["commit"]["id"]
    return artifact["image"]["ref"].partition("@sha256:")[2][:40]


def find_status(step):
    """Return the final status of a deploy."""
    for status in ("build_failed", "pre_deploy_failed", "update_failed"):
        if fails(f"{step}:{status}"):
            return status
    return "build_in_progress" if fails(f"{step}:lost") else "live"


def cancel():
    with State() as state:
        for deploy in state[name_of(sys.argv[3])]["deploys"]:
            if deploy["id"] == sys.argv[4]:
                deploy["status"] = "canceled"


def name_of(service):
    return service.removeprefix("srv-")


COMMANDS = {
    "services": list_services,
    "deploys list": list_deploys,
    "deploys create": create,
    "deploys cancel": cancel,
}


def main():
    """Run the command that sys.argv names."""
    record()
    words = sys.argv[1:3] if sys.argv[1] == "deploys" else sys.argv[1:2]
    COMMANDS[" ".join(words)]()
