"""A stand-in for kubectl and the cluster behind it. An image is called NAME-COMMIT@DIGEST."""

import json
import os
import re
import sys

from stand_in import FOLDER, File, State, crashes, fails, option, record, serve

REVISION = "deployment.kubernetes.io/revision"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# The numbers of replicas in the manifests
FIRST = {"web": 2, "worker": 1, "beat": 1}


def check_key():
    """A pipeline's key is valid for the namespace that it names, a person's own for all."""
    if "KUBECONFIG" not in os.environ:
        return
    file, space = File(os.environ["KUBECONFIG"]), option("--namespace")
    (FOLDER / "kubeconfig").write_text(f"{os.stat(file).st_mode:o} {file.read_text()}")
    if space not in file.read_text():
        sys.exit(
            f'Error from server (Forbidden): nothing in the namespace "{space}" is yours'
        )


def get():
    kind, space = sys.argv[4], option("--namespace")
    with State() as state:
        if kind == "secret":
            sys.exit(None if state[space]["secrets"] else "secrets app not found")
        print(json.dumps({"items": LISTS[kind](state[space])}))


def list_deployments(space):
    return [
        {
            "metadata": {
                "name": name,
                "annotations": (
                    {}
                    if fails("annotation")
                    else {APPLIED: json.dumps(manifest(name, space["applied"]))}
                ),
            },
            "spec": {
                **manifest(name, revisions[0][1] if revisions else "none")["spec"],
                "replicas": space["replicas"][name],
            },
        }
        for name, revisions in space["deployments"].items()
        if f"metadata.name={name}" in sys.argv or "--selector" in sys.argv
    ]


def manifest(name, image):
    template = {"spec": {"containers": [{"image": image}]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


def list_replica_sets(space):
    return [
        {
            "metadata": {
                "ownerReferences": [{"name": name}],
                "annotations": {REVISION: str(revision)},
                "creationTimestamp": f"2026-11-24T00:00:{created:02}Z",
            },
            "spec": manifest(name, image)["spec"],
            "status": {"readyReplicas": 1} if is_ready(name, image) else {},
        }
        for name, revisions in space["deployments"].items()
        for revision, image, created in revisions
    ]


def is_ready(name, image):
    site = find_site(option("--namespace"), name)
    answer = json.loads(site.read_text()) if site.exists() else {}
    serves = answer.get("status") == 200 and image != "none"
    return serves and answer["release"] == find_commit(image)


def find_site(space, name):
    return FOLDER / "sites" / f"{site_name(space, name)}.json"


def site_name(space, name):
    return space if name == "web" else f"{space}-{name}"


def list_pods(space):
    return [
        {
            "metadata": {"name": f"{name}-{created}"},
            "spec": manifest(name, image)["spec"]["template"]["spec"],
            "status": {
                "containerStatuses": [
                    {"restartCount": 3 * crashes(name, find_commit(image))}
                ]
            },
        }
        for name, revisions in space["deployments"].items()
        # The pods of the previous revision are still ending.
        for _, image, created in revisions[:2]
        if image != "none"
    ]


def list_jobs(space):
    (name,) = re.findall("metadata.name=(.*)", option("--field-selector"))
    if name not in space["jobs"] or fails("job"):
        return []
    ended = space["jobs"][name]
    if fails("deadline") and ended:
        ended = "Failed"
    conditions = (
        [{"type": "FailureTarget", "status": "True"}] if ended == "Failed" else []
    )
    if not fails("late"):
        space["jobs"][name] = "Failed" if fails("migrate") else "Complete"
    # The first query finds it unfinished.
    reason = {"reason": "DeadlineExceeded"} if fails("deadline") else {}
    conditions += [{"type": ended, "status": "True", **reason}] if ended else []
    return [{"metadata": {"name": name}, "status": {"conditions": conditions}}]


def delete():
    with State() as state:
        state[option("--namespace")]["jobs"].pop(sys.argv[5], None)


def apply():
    if "set-last-applied" in sys.argv:
        return set_last_applied()
    folder, space = File(option("--kustomize")), option("--namespace")
    kustomization = json.loads((folder / "kustomization.yaml").read_text())
    (image,) = kustomization["images"]
    image = f"{image['newName']}@{image['digest']}"
    kept = {it["name"]: it["count"] for it in kustomization["replicas"]}
    if unknown := kept.keys() - FIRST:
        sys.exit(f"error: {unknown} does not match a config with the following GVKs")
    (rename,) = json.loads(kustomization["patches"][0]["patch"])
    if option("--selector").endswith("notin (web,worker,beat)"):
        with State() as state:
            if rename["value"] in state[space]["jobs"]:
                sys.exit("field is immutable")
            state[space]["jobs"][rename["value"]] = ""
        return
    if fails("apply"):
        sys.exit("Unable to connect to the server")
    with State() as state:
        for revisions in state[space]["deployments"].values():
            if not revisions or revisions[0][1] != image:
                number = max([it[0] for it in revisions], default=0) + 1
                revisions.insert(0, [number, image, number])
        state[space]["applied"] = image
        state[space]["replicas"] |= FIRST | kept


def set_last_applied():
    if fails("set-last-applied"):
        sys.exit("error: deployments.apps is forbidden")
    applied = json.loads(File(option("--filename")).read_text())
    (container,) = applied["spec"]["template"]["spec"]["containers"]
    with State() as state:
        state[option("--namespace")]["applied"] = container["image"]


def logs():
    if fails("logs"):
        sys.exit("pods is forbidden")
    print("Applying users.0002... OK")


def scale():
    name, space = sys.argv[4].removeprefix("deployment/"), option("--namespace")
    with State() as state:
        revisions = state[space]["deployments"][name]
        revisions.insert(0, [max(revisions)[0], "none", 0])
        state[space]["replicas"][name] = 0
    assert sys.argv[5] == "--replicas=0"
    site = find_site(space, name)
    if site.exists():
        os.unlink(site)


def rollout():
    space, name = option("--namespace"), sys.argv[5].removeprefix("deployment/")
    failed = sys.argv[4] == "status" and fails(f"{name}-rollout")
    if sys.argv[4] == "undo" and fails("undo"):
        sys.exit("error: unable to find specified revision")
    with State() as state:
        revisions = state[space]["deployments"][name]
        is_new = revisions[0][0] == revisions[0][2]  # or rolled back to
        back = sys.argv[4] == "status" and fails(f"back-{name}-rollout")
        if back and not is_new or failed and is_new:
            sys.exit("error: deployment exceeded its progress deadline")
        ROLLOUTS[sys.argv[4]](space, name, revisions)


def status(space, name, revisions):
    serve(site_name(space, name), find_commit(revisions[0][1]))


def find_commit(image):
    """Return the commit of an image, from its name or from the stand-in for docker."""
    if named := re.search("-([0-9a-f]{40})@", image):
        return named[1]
    return (FOLDER / "images" / image.partition("@sha256:")[2]).read_text()


def undo(space, name, revisions):
    wanted = sys.argv[6].removeprefix("--to-revision=")
    (old,) = [found for found in revisions if str(found[0]) == wanted]
    if old == revisions[0]:
        return  # The template already matches.
    # The cluster gives the old ReplicaSet a new number.
    revisions.remove(old)
    revisions.insert(0, [max(revisions)[0] + 1, *old[1:]])


LISTS = {
    "deployments": list_deployments,
    "jobs": list_jobs,
    "pods": list_pods,
    "replicasets": list_replica_sets,
}
ROLLOUTS = {"status": status, "undo": undo}
COMMANDS = {
    "apply": apply,
    "delete": delete,
    "get": get,
    "logs": logs,
    "rollout": rollout,
    "scale": scale,
}


def main():
    """Run the command that sys.argv names."""
    record()
    check_key()
    COMMANDS[sys.argv[3]]()
