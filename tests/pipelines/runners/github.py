"""Run a project's own workflow on this machine, without Docker and without GitHub.

act runs the jobs in copies of the project. Stand-ins replace the third-party actions, at
the commits that the workflow pins. act starts no services: the sandbox does, where the
workflow publishes their ports. act does not know continue-on-error of a job either, nor
environments: a job sees the secrets of all that the workflow names.
"""

import json
import re
import sys
from pathlib import Path

import yaml

from tests.pipelines.readers.github import published_port
from tests.pipelines.runners.sandbox import LIMITS, Run, Service, merge_services
from tests.support.machine import UV
from tests.support.project import Project

UNKNOWN = r" +(queue: max|deployment: false.*)\n"
ACT = Path(sys.executable).with_name("act")
STAND_INS = Path(__file__).with_name("actions")
EVENTS = {
    "request": ("ci.yml", "merge_group"),
    "main": ("ci.yml", "push"),
    "nightly": ("nightly.yml", "schedule"),
    "rollback-staging": ("rollback.yml", "workflow_dispatch"),
}
ENVIRONMENTS = ("registry", "staging", "production", "template")
# These are no secrets: GitHub would hide them in logs.
VARIABLES = ("REGISTRY", "REGISTRY_USER", "IMAGE")
# With these, a job reads the rules of an environment from tests/deployment/sites.py.
API = "http://localhost:8000/github-api"
TOKEN = {"GITHUB_TOKEN": "token-of-the-job"}
REVIEWED = [{"type": "branch_policy"}, {"type": "required_reviewers"}]


def run_github(
    project: Project,
    sandbox,
    workflow="main",
    jobs=(),
    inputs=None,
    rules=REVIEWED,
    variables=None,
    api=API,
):
    """Run a workflow of a project that is committed, as on its main branch.

    A request is in the merge queue, based on the newest commit.
    `rules` are those of the environment that waits for an approval, or None if there is
    no such environment. `variables` are the repository's, `api` is GitHub's. No job waits.
    """
    name, event = EVENTS[workflow]
    file = f".github/workflows/{name}"
    inputs = {"environment": workflow.partition("-")[2], **(inputs or {})}
    workflow = project.yaml(file)
    # act runs a named job whatever the event.
    assert event in workflow["on"], f"no {event} starts {name}"
    (sandbox.scratch / "artifacts").mkdir()
    runners = {job["runs-on"] for job in workflow["jobs"].values()}
    # act stops at a key that it does not know.
    known = sandbox.scratch / name
    known.write_text(re.sub(UNKNOWN, "", project.read(file)))
    command = [ACT, event, "--json", "--rm", "--workflows", known]
    command += [f"--platform={runner}=-self-hosted" for runner in runners]
    command += ["--container-daemon-socket=-", "--no-cache-server"]
    command += ["--action-offline-mode"]
    command += [f"--action-cache-path={sandbox.scratch / 'cache'}"]
    # Without these files, act would take them from the project's folder.
    server, _, _ = api.rpartition("/")
    (sandbox.scratch / "env").write_text(
        f"GITHUB_API_URL={api}\nGITHUB_REPOSITORY=team/name\n"
        f"GITHUB_SERVER_URL={server}\n"
    )
    command += [f"--env-file={sandbox.scratch / 'env'}"]
    environments = [inputs["environment"]] if inputs["environment"] else ENVIRONMENTS
    secrets = read_secrets(sandbox.secrets, environments)
    if event == "merge_group":  # For other events, act writes its own file.
        payload = {"merge_group": {"base_sha": project.head()}}
        (sandbox.scratch / "event").write_text(json.dumps(payload))
        command.append(f"--eventpath={sandbox.scratch / 'event'}")
    registry = sandbox.secrets.get("registry", {})
    others = {name: registry[name] for name in VARIABLES if name in registry}
    files = {
        "secret": secrets | TOKEN,
        "input": inputs,
        "var": LIMITS | others | (variables or {}),
    }
    if sandbox.stand_in and rules is not None:
        write_environment(sandbox.stand_in / "github", rules)
    for kind, values in files.items():
        (sandbox.scratch / kind).write_text(yaml.safe_dump(values) if values else "")
        command.append(f"--{kind}-file={sandbox.scratch / kind}")
    command += [f"--local-repository={stand_in}" for stand_in in stand_ins(workflow)]
    command += [f"--job={job}" for job in jobs]
    environment = sandbox.environment(
        STAND_IN_UV=str(Path(UV).parent),
        STAND_IN_ARTIFACTS=str(sandbox.scratch / "artifacts"),
    )
    done = sandbox.run(command, project.path, environment, read_services(workflow))
    results, logs = read_output(done.stdout)
    assert results, done.stdout
    return Run(
        passed=all(
            results.get(name) == "success" or job.get("continue-on-error") == "true"
            for name, job in workflow["jobs"].items()
            if name in results
        ),
        results={job: results.get(job, "skipped") for job in workflow["jobs"]},
        logs={job: "".join(logs.get(job, [])) for job in workflow["jobs"]},
        server_logs=sandbox.server_logs(),
        artifacts=sandbox.scratch / "artifacts",
    )


def write_environment(folder, rules):
    """Write what GitHub's API reports about the environment that waits for an approval."""
    folder.mkdir(exist_ok=True)
    content = json.dumps({"protection_rules": rules})
    (folder / "production-approval").write_text(content)


def read_secrets(secrets, environments):
    """Return each secret with its values in these environments, one after the other."""
    found = {}
    for environment in environments:
        for name, value in secrets.get(environment, {}).items():
            if name not in VARIABLES:
                found.setdefault(name, []).append(value)
    return {name: " ".join(values) for name, values in found.items()}


def stand_ins(workflow):
    """Return the stand-in for each action that act does not include."""
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    found = set()
    for step in steps:
        name = step.get("uses", "").partition("@")[0]
        if name and name != "actions/checkout":
            folder = STAND_INS / name.rpartition("/")[2]
            inputs = yaml.safe_load((folder / "action.yml").read_text())["inputs"]
            unknown = step.get("with", {}).keys() - inputs.keys()
            assert not unknown, f"the stand-in for {name} does not know {unknown}"
            found.add(f"{step['uses']}={folder}")
    return sorted(found)


def read_services(workflow):
    """Return the services of the jobs, which reach them at the ports of their machine."""
    return merge_services(
        (
            name,
            Service(
                *(service["image"], "127.0.0.1", service.get("env", {})),
                port=published_port(service),
            ),
        )
        for job in workflow["jobs"].values()
        for name, service in job.get("services", {}).items()
    )


def read_output(output):
    """Return the result and the lines of each job that began."""
    results, logs = {}, {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "jobID" in entry:
            logs.setdefault(entry["jobID"], []).append(entry["msg"].rstrip() + "\n")
        if "jobResult" in entry:
            results[entry["jobID"]] = entry["jobResult"]
    return results, logs
