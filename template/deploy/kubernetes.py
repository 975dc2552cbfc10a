"""Kubernetes: a Job migrates, then each Deployment replaces its pods one by one.

The manifests are in deploy/kubernetes; this module sets the image and the Job's name.
"""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from commands import Failed, TimedOut, read, run
from image import check_image, find_image
from image import record_promotion as record_promotion

TOOLS = ("git", "kubectl")
VARIABLES = ()
CANCELLED = "The cluster continues a rollout that has started"

REVISION = "deployment.kubernetes.io/revision"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
COMPONENT = "app.kubernetes.io/component"
MIGRATE = {"kind": "Job", "name": "migrate"}
OUTCOMES = ("Complete", "Failed")
DELETED = "Deleted"
DEADLINE = "DeadlineExceeded"
REASONS = {"Failed": "failed: see its log above", DELETED: "was deleted"}
TRIES = 5  # of a query that fails
MIGRATION_TIMEOUT = 3700  # seconds, slightly more than in base/migrate.yaml
ROLLOUT_TIMEOUT = 600  # seconds for each Deployment
PAUSE = 2  # seconds between two queries


class Revision(NamedTuple):
    """A ReplicaSet; it gets a new number when its Deployment is rolled back to it."""

    number: int
    image: str
    created: str
    is_ready: bool


@contextlib.contextmanager
def logged_in():
    """Write a pipeline's $KUBECONFIG_CONTENT to a temporary file for kubectl."""
    with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-") as file:
        if content := os.environ.get("KUBECONFIG_CONTENT"):
            file.write(content)
            file.flush()
            os.environ["KUBECONFIG"] = file.name
        yield


def check(environment, release):
    """Raise Refused without a permitted image, and Failed without the secret `app`."""
    check_image(environment, release, history)
    # The secret that each pod needs.
    kubectl(environment, "get", "secret", "app", "--output", "name")


def history(environment):
    """Return (revisions, image) of the running release and of those created before it.

    Those created after it were rolled back. The newest revision does not run if its pods
    did not become ready, as in a rollback that failed.
    """
    found = {name: find_revisions(environment, name) for name in names(environment)}
    web = sorted(found.get("web", []), key=lambda it: not it.is_ready)
    earlier = [it for it in web if it.created <= web[0].created]
    return [(find_reference(found, it.image), it.image) for it in earlier]


def migrate(environment, release):
    """Apply this release's settings and Job, and wait until the Job ends."""
    name = f"migrate-{release[:12]}"
    folder = write_release(environment, name)
    if find_outcome(environment, name) is None:
        print(f"Waiting for the Job {name} of an earlier attempt, which still runs.")
    else:
        # A Job cannot be changed, so delete the one of an earlier attempt.
        kubectl(environment, "delete", "job", name, "--ignore-not-found")
        apply(environment, folder, f"{COMPONENT} notin {processes(environment)}")
    deadline = time.monotonic() + MIGRATION_TIMEOUT
    while (outcome := find_outcome(environment, name)) is None:
        if time.monotonic() > deadline:
            limit = f"within {MIGRATION_TIMEOUT} s"
            raise TimedOut(f"the Job {name} did not finish {limit}")
        time.sleep(PAUSE)
    with contextlib.suppress(Failed):  # Without its log, the outcome still counts.
        kubectl(environment, "logs", f"job/{name}", "--tail", "100")
    if outcome == DEADLINE:
        raise TimedOut(f"the Job {name} did not finish before its deadline")
    if outcome != "Complete":
        raise Failed(f"the Job {name} {REASONS[outcome]}")


def switch(environment, release):
    """Apply a release; raise Failed unless every process runs it in time."""
    folder = write_release(environment, f"migrate-{release[:12]}")
    apply(environment, folder, f"{COMPONENT}!=migrate")
    for name in names(environment):
        wait_for_rollout(environment, name)


def crashes(environment, release):
    """Return the pods of the release's image whose container was restarted."""
    _, digest = find_image()
    restarts = {
        pod["metadata"]["name"]: sum(
            it["restartCount"] for it in pod["status"].get("containerStatuses", [])
        )
        for pod in find_processes(environment, "pods")
        # A pod of the previous release ends only after its last task.
        if pod["spec"]["containers"][0]["image"].endswith(digest)
    }
    return {f"the pod {name} ({it} restarts)" for name, it in restarts.items() if it}


def roll_back(environment, reference):
    """Restore each process to an earlier release; raise Failed if one is not restored."""
    revisions = dict(pair.split("=") for pair in reference.split())
    failures = []
    for name in names(environment):
        try:
            if name in revisions:
                # kubectl changes nothing if this revision already runs.
                options = (f"deployment/{name}", f"--to-revision={revisions[name]}")
                kubectl(environment, "rollout", "undo", *options)
            else:
                # The previous release did not have this process.
                kubectl(environment, "scale", f"deployment/{name}", "--replicas=0")
        except Failed as error:
            failures.append(error)
    if failures:
        raise failures[0]
    for name in revisions:
        with contextlib.suppress(Exception):  # It must not stop the rollback.
            set_last_applied(environment, name)
        wait_for_rollout(environment, name)


def set_last_applied(environment, name):
    """Update the last-applied configuration of a Deployment after a rollback.

    `kubectl apply` prunes by it. It still describes the release that was rolled back,
    so fields that only the restored release has would stay forever.
    """
    (it,) = get_objects(environment, "deployments", *only(name))
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
    """Wait until a Deployment runs its newest revision; raise Failed if it does not."""
    options = (f"deployment/{name}", f"--timeout={ROLLOUT_TIMEOUT}s")
    kubectl(environment, "rollout", "status", *options)


def get_objects(environment, *query):
    """Return objects of the namespace."""
    where = ("--namespace", environment.settings["namespace"])
    return read("kubectl", *where, "get", *query, "--output", "json")["items"]


def only(name):
    return ("--field-selector", f"metadata.name={name}")


def names(environment):
    """Return the names of the existing Deployments."""
    return [it["metadata"]["name"] for it in find_deployments(environment)]


def processes(environment):
    """Return the processes of deploy/environments.toml, as a set for kubectl."""
    return f"({','.join(environment.settings['processes'])})"


def find_replicas(environment):
    """Return the number of pods of each Deployment, which a release keeps.

    A person or an autoscaler may have set it; a rollback may have set it to 0.
    """
    return [
        {"name": it["metadata"]["name"], "count": it["spec"]["replicas"]}
        for it in find_deployments(environment)
        if it["spec"]["replicas"]
    ]


def find_deployments(environment):
    """Return the existing Deployments of processes; others have no manifest."""
    return [
        it
        for it in find_processes(environment, "deployments")
        if it["metadata"]["name"] in environment.settings["processes"]
    ]


def find_processes(environment, kind):
    selector = f"{COMPONENT} in {processes(environment)}"
    return get_objects(environment, kind, "--selector", selector)


def find_revisions(environment, name):
    """Return the revisions of a Deployment, newest first."""
    revisions = []
    for it in find_processes(environment, "replicasets"):
        if [owner["name"] for owner in it["metadata"]["ownerReferences"]] == [name]:
            (container,) = it["spec"]["template"]["spec"]["containers"]
            revision = int(it["metadata"]["annotations"][REVISION])
            created = it["metadata"]["creationTimestamp"]
            is_ready = bool(it["status"].get("readyReplicas"))
            revisions.append(Revision(revision, container["image"], created, is_ready))
    return sorted(revisions, reverse=True)


def find_reference(found, image):
    """Return the newest revision with an image, for each Deployment that has one."""
    pairs = []
    for name, revisions in found.items():
        numbers = [it.number for it in revisions if it.image == image]
        pairs += [f"{name}={numbers[0]}"] if numbers else []
    return " ".join(pairs)


def find_outcome(environment, name):
    """Return how a Job ended, or None while it runs."""
    jobs = get_with_retries(environment, "jobs", *only(name))
    for job in jobs:
        for condition in job.get("status", {}).get("conditions", []):
            if condition["type"] in OUTCOMES and condition["status"] == "True":
                is_late = condition.get("reason") == DEADLINE
                return DEADLINE if is_late else condition["type"]
    return None if jobs else DELETED


def get_with_retries(environment, *query):
    """Return objects of the namespace; try again if the cluster does not answer."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Failed):
            return get_objects(environment, *query)
        time.sleep(PAUSE)
    return get_objects(environment, *query)


def write_release(environment, job):
    """Write the manifests of a release; return their folder."""
    folder = Path(".cache", "deploy", environment.name)
    folder.mkdir(parents=True, exist_ok=True)
    name, digest = find_image()
    rename = [{"op": "replace", "path": "/metadata/name", "value": job}]
    kustomization = {
        "resources": [f"../../../deploy/kubernetes/{environment.name}"],
        "images": [{"name": "app", "newName": name, "digest": digest}],
        "patches": [{"target": MIGRATE, "patch": json.dumps(rename)}],
        "replicas": find_replicas(environment),
    }
    # JSON is valid YAML.
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder
