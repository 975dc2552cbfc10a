"""Kubernetes: a Job migrates, then each Deployment rolls to the image, pod by pod.

The manifests stand in deploy/kubernetes; the image and the name of the Job come from here.
"""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from commands import Failed, read, run
from image import check_image, find_image
from image import hand_on as hand_on

TOOLS = ("git", "kubectl")
VARIABLES = ()
CANCELLED = "A rollout that has begun goes on in the cluster"

REVISION = "deployment.kubernetes.io/revision"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
COMPONENT = "app.kubernetes.io/component"
MIGRATE = {"kind": "Job", "name": "migrate"}
ENDS = ("Complete", "Failed")
ABSENT = "Absent"
REASONS = {"Failed": "failed, as its log above says", ABSENT: "is gone"}
LOOKS = 5  # at the migration that may fail in a row
MIGRATION = 3700  # seconds, a little more than deploy/kubernetes/base/migrate.yaml
PATIENCE = 600  # seconds for each rollout
PAUSE = 2  # seconds between two looks at the migration


class Revision(NamedTuple):
    """A ReplicaSet; it gets a new number when a Deployment goes back to it."""

    number: int
    image: str
    created: str


@contextlib.contextmanager
def logged_in():
    """Give kubectl a pipeline's $KUBECONFIG_CONTENT as the file that it wants."""
    with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-") as file:
        if content := os.environ.get("KUBECONFIG_CONTENT"):
            file.write(content)
            file.flush()
            os.environ["KUBECONFIG"] = file.name
        yield


def check(environment, release):
    check_image(environment, release, history)
    # What a person makes once, and each pod needs.
    kubectl(environment, "get", "secret", "app", "--output", "name")


def history(environment):
    """Return (revisions, image) of what runs, and of what was made before it.

    What was made after it is what somebody went back from.
    """
    found = {name: find_revisions(environment, name) for name in names(environment)}
    web = found.get("web", [])
    earlier = [it for it in web if it.created <= web[0].created]
    return [(find_reference(found, image), image) for _, image, _ in earlier]


def migrate(environment, release):
    """Run the Job of this release to its end, with the settings that it is to run with."""
    name = f"migrate-{release[:12]}"
    folder = write_release(environment, name)
    if find_end(environment, name) is None:
        print(f"The Job {name} of an earlier try still runs: waiting for it.")
    else:
        # Nobody can change a Job: what an earlier try has left goes first.
        kubectl(environment, "delete", "job", name, "--ignore-not-found")
        apply(environment, folder, f"{COMPONENT} notin {processes(environment)}")
    deadline = time.monotonic() + MIGRATION
    while (ended := find_end(environment, name)) is None:
        if time.monotonic() > deadline:
            raise Failed(f"the Job {name} did not end in {MIGRATION} s")
        time.sleep(PAUSE)
    with contextlib.suppress(Failed):  # What it said is not how it ended.
        kubectl(environment, "logs", f"job/{name}", "--tail", "100")
    if ended != "Complete":
        raise Failed(f"the Job {name} {REASONS[ended]}")


def switch(environment, release):
    folder = write_release(environment, f"migrate-{release[:12]}")
    apply(environment, folder, f"{COMPONENT}!=migrate")
    for name in names(environment):
        wait_for_rollout(environment, name)


def go_back(environment, reference):
    revisions = dict(pair.split("=") for pair in reference.split())
    failures = []
    for name in names(environment):
        try:
            if name in revisions:
                # What runs this revision already, kubectl leaves as it is.
                options = (f"deployment/{name}", f"--to-revision={revisions[name]}")
                kubectl(environment, "rollout", "undo", *options)
            else:
                # The old release had no such process.
                kubectl(environment, "scale", f"deployment/{name}", "--replicas=0")
        except Failed as error:
            failures.append(error)
    if failures:
        raise failures[0]
    for name in revisions:
        with contextlib.suppress(Exception):  # Whatever is wrong, the way back goes on.
            remember(environment, name)
        wait_for_rollout(environment, name)


def remember(environment, name):
    """Tell kubectl what runs again.

    It takes away what it applied last, and else that stays the release gone back from:
    what only the old one had would be there for good.
    """
    (it,) = find(environment, "deployments", *only(name))
    applied = json.loads(it["metadata"]["annotations"][APPLIED])
    applied["spec"]["template"] = it["spec"]["template"]
    file = Path(".cache", f"{name}.json")
    file.write_text(json.dumps(applied))
    kubectl(environment, "apply", "set-last-applied", "--filename", str(file))


def kubectl(environment, *arguments):
    run("kubectl", "--namespace", environment.settings["namespace"], *arguments)


def apply(environment, folder, selector):
    kubectl(environment, "apply", "--kustomize", str(folder), "--selector", selector)


def wait_for_rollout(environment, name):
    options = (f"deployment/{name}", f"--timeout={PATIENCE}s")
    kubectl(environment, "rollout", "status", *options)


def find(environment, *what):
    """Return objects of the namespace."""
    where = ("--namespace", environment.settings["namespace"])
    return read("kubectl", *where, "get", *what, "--output", "json")["items"]


def only(name):
    return ("--field-selector", f"metadata.name={name}")


def names(environment):
    """Return the names of the Deployments that there are."""
    return [it["metadata"]["name"] for it in find_processes(environment, "deployments")]


def processes(environment):
    """Return what deploy/environments.toml names, as a set for kubectl."""
    return f"({','.join(environment.settings['processes'])})"


def find_processes(environment, kind):
    selector = f"{COMPONENT} in {processes(environment)}"
    return find(environment, kind, "--selector", selector)


def find_revisions(environment, name):
    """Return the revisions of a Deployment; the first one runs."""
    revisions = []
    for it in find_processes(environment, "replicasets"):
        if [owner["name"] for owner in it["metadata"]["ownerReferences"]] == [name]:
            (container,) = it["spec"]["template"]["spec"]["containers"]
            revision = int(it["metadata"]["annotations"][REVISION])
            created = it["metadata"]["creationTimestamp"]
            revisions.append(Revision(revision, container["image"], created))
    return sorted(revisions, reverse=True)


def find_reference(found, image):
    """Return the newest revision with an image, of each Deployment that has had it."""
    pairs = []
    for name, revisions in found.items():
        numbers = [it.number for it in revisions if it.image == image]
        pairs += [f"{name}={numbers[0]}"] if numbers else []
    return " ".join(pairs)


def find_end(environment, name):
    """Return how the Job ended, if it is there, or None while it runs."""
    jobs = look(environment, "jobs", *only(name))
    for job in jobs:
        for condition in job.get("status", {}).get("conditions", []):
            if condition["type"] in ENDS and condition["status"] == "True":
                return condition["type"]
    return None if jobs else ABSENT


def look(environment, *what):
    """Return objects as find does, though the cluster may not answer each time."""
    for _ in range(LOOKS - 1):
        with contextlib.suppress(Failed):
            return find(environment, *what)
        time.sleep(PAUSE)
    return find(environment, *what)


def write_release(environment, job):
    """Write the manifests of this release; return their folder."""
    folder = Path(".cache", "deliver", environment.name)
    folder.mkdir(parents=True, exist_ok=True)
    name, digest = find_image()
    rename = [{"op": "replace", "path": "/metadata/name", "value": job}]
    kustomization = {
        "resources": [f"../../../deploy/kubernetes/{environment.name}"],
        "images": [{"name": "app", "newName": name, "digest": digest}],
        "patches": [{"target": MIGRATE, "patch": json.dumps(rename)}],
    }
    # JSON is YAML, too.
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder
