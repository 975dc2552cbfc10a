"""Read GitHub's workflows as the pipeline that tests/pipelines/model.py defines."""

import json
import re

from tests.pipelines.model import (
    HANDED_ON,
    Job,
    find,
    is_pinned,
    lead,
    unknown,
    without_digest,
)

CHANGE, NIGHTLY = ".github/workflows/ci.yml", ".github/workflows/nightly.yml"
ROLLBACK = ".github/workflows/rollback.yml"
FILES = [CHANGE, NIGHTLY]  # ROLLBACK, too, where there is something to deliver
WORKFLOWS = {
    "request": CHANGE,
    "main": CHANGE,
    "rollback": ROLLBACK,
    "nightly": NIGHTLY,
}
INPUT = "${{ inputs.environment }}"
JOB_KEYS = {"name", "runs-on", "timeout-minutes", "needs", "permissions", "services"}
JOB_KEYS |= {"env", "steps", "continue-on-error", "if", "environment", "concurrency"}
MAIN = "github.ref == 'refs/heads/main'"
# When a condition holds; a job without one always runs.
HOLDS = {
    "github.event_name == 'pull_request'": {"request"},
    f"github.event_name == 'push' && {MAIN}": {"main"},
    MAIN: {"main", "rollback", "nightly"},
}
IMAGE = "ghcr.io/${{ github.repository }}"
LOGIN = {
    "registry": "ghcr.io",
    "username": "${{ github.actor }}",
    "password": "${{ github.token }}",
}
# What lets a server of Kamal's pull the image
PULL = {
    "REGISTRY_USER": "${{ github.actor }}",
    "REGISTRY_PASSWORD": "${{ github.token }}",
}
READS = {("contents", "read"), ("packages", "read")}
OVERWRITE = {"overwrite": "true"}
REPORTS = {"name": "reports", "path": "reports", "retention-days": "14"} | OVERWRITE
DIGESTS = {
    name: {"name": name, "path": path, "retention-days": "90"} | OVERWRITE
    for name, path in HANDED_ON.items()
}
DIGESTS["staging"]["if-no-files-found"] = "error"
TAKEN = {name: {"name": name, "path": "reports"} for name in HANDED_ON}
SECRET = re.compile(r"\bsecrets\b[.\w]*|\bgithub\.token\b")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def parse(project):
    """Return the parsed files of a project, by name."""
    return {
        name: project.yaml(name)
        for name in [*FILES, ROLLBACK]
        if name in FILES or (project / name).exists()
    }


def read(files):
    """Return the jobs of each workflow, from the parsed files."""
    return {
        workflow: {
            name: read_job(name, job)
            for name, job in expand(files.get(file, {"jobs": {}}))
            if workflow in HOLDS.get(job.get("if"), {workflow})
        }
        for workflow, file in WORKFLOWS.items()
    }


def expand(file):
    """Yield each job, once for each environment that a person can choose."""
    for name, job in file["jobs"].items():
        if INPUT not in str(job):
            yield name, job
            continue
        choices = file["on"]["workflow_dispatch"]["inputs"]["environment"]["options"]
        for choice in choices:
            yield f"{name}-{choice}", json.loads(json.dumps(job).replace(INPUT, choice))


def frame(files):
    """Return what stands around the jobs."""
    return {
        name: {key: value for key, value in file.items() if key != "jobs"}
        for name, file in files.items()
    }


def read_job(name, job):
    services = job.get("services", {})
    listening = {
        ("127.0.0.1", published_port(service)): without_digest(service["image"])
        for service in services.values()
    }
    password = services.get("postgres", {}).get("env", {}).get("POSTGRES_PASSWORD")
    needs = job.get("needs", [])
    read = Job(
        run=[step["run"] for step in job["steps"] if "run" in step],
        needs=[needs] if isinstance(needs, str) else needs,
        services=list(listening.values()),
        variables=lead(job.get("env", {}), listening, password, IMAGE),
        may_fail=job.get("continue-on-error") == "true",
        has_timeout="timeout-minutes" in job,
        is_cached=False,
        tools=["docker"],  # Each runner has it.
        keeps_credentials=True,
        main_only=job.get("if", "").endswith(MAIN),
        more=unknown(job, JOB_KEYS),
    )
    permissions = job.get("permissions", {"all": "that the workflow may"})
    for scope, leave in permissions.items():
        if leave == "write":
            read.may_write.append(scope)
        elif (scope, leave) not in READS:
            read.more.append((scope, leave))
    read_environment(job, read)
    read.secrets += SECRET.findall(str(job | {"steps": [], "env": read.variables}))
    if "if" in job and job["if"] not in HOLDS:
        read.more.append(job["if"])
    if job["name"] != name:
        read.more.append(job["name"])
    for service in services.values():
        read.more += unknown(service, {"image", "env", "options", "ports"})
        if "--health-cmd" not in service.get("options", ""):
            read.more.append("a service without a health check")
    for step in job["steps"]:
        read_step(step, read)
    # Whoever logs in to the registry may read it, and nobody else.
    if ("packages" in permissions) != ("registry" in read.secrets):
        read.more.append("leave to read without a login, or the other way round")
    return read


def read_environment(job, read):
    """Take the environment of a job, whose secrets it hands over by their own names."""
    environment = job.get("environment")
    if isinstance(environment, dict):
        read.more += unknown(environment, {"name", "url", "deployment"})
        deploys = "make deploy" in read.run
        if environment.get("deployment") != (None if deploys else "false"):
            read.more.append(environment)
        # The settings of production want somebody's approval: docs/pipeline.md.
        read.by_person = deploys and environment.get("name") == "production"
        environment = environment.get("name")
    if environment:
        read.secrets.append(environment)
        # The other providers hand it over by themselves.
        if read.variables.get("SMOKE_SECONDS") == "${{ vars.SMOKE_SECONDS }}":
            del read.variables["SMOKE_SECONDS"]
    if "concurrency" in job:
        group = job["concurrency"].get("group", "")
        read.lock = group.removeprefix("deploy-")
        if job["concurrency"] != {"group": f"deploy-{read.lock}", "queue": "max"}:
            read.more.append(job["concurrency"])


def handed_over(step):
    """Return the names of the secrets that a step gets under their own names."""
    return [
        name
        for name, value in step.get("env", {}).items()
        if value == f"${{{{ secrets.{name} }}}}"
    ]


def read_step(step, read):
    """Take a step into the job; only six actions are known."""
    action, options = step.get("uses", "").partition("@")[0], step.get("with", {})
    known = {"name", "uses", "with"} if action else {"name", "run"}
    if action == "docker/login-action" and options == LOGIN:
        read.secrets.append("registry")
    elif step.get("run") in ("make deploy", "make rollback"):
        known |= {"env"}
        rest = {k: step["env"][k] for k in step["env"].keys() - handed_over(step)}
        if rest and rest == PULL:
            read.secrets.append("registry")
        else:
            read.secrets += SECRET.findall(str(rest))
    else:
        read.secrets += SECRET.findall(str(step))
    if action == "actions/checkout":
        read.keeps_credentials = options.get("persist-credentials") != "false"
        # Heroku wants all of history.
        read.more += unknown(options, {"persist-credentials", "fetch-depth"})
    elif action == "astral-sh/setup-uv":
        read.tools = ["uv"]
        pins = options.get("cache-dependency-glob") == "requirements-dev.txt"
        read.is_cached = pins and "enable-cache" not in options
        read.more += unknown(
            options, {"version", "cache-dependency-glob", "enable-cache"}
        )
    elif action == "actions/upload-artifact" and step.get("if") == "always()":
        known |= {"if"}
        read.publishes.append("reports" if options == REPORTS else options)
    elif action == "actions/upload-artifact":
        read.publishes.append(find(options, DIGESTS))
    elif action == "actions/download-artifact":
        read.takes.append(find(options, TAKEN))
    elif action == "docker/setup-buildx-action" and is_builder(options):
        read.tools.append("builder")
    elif action and action != "docker/login-action":
        read.more.append(action)
    read.more += unknown(step, known)


def is_builder(options):
    """Say whether a builder is given its image, pinned, and nothing else."""
    image = options.get("driver-opts", "").removeprefix("image=")
    return options.keys() == {"driver-opts"} and is_pinned(image, "moby/buildkit")


def published_port(service):
    """Return where the only port of a service is to be found on 127.0.0.1."""
    (port,) = service["ports"]
    return int(port.partition(":")[0])


def unpinned(text):
    """Return the actions that a workflow does not pin to a commit, with its version."""
    return [
        uses
        for uses in re.findall(r"\buses: *(.*)", text)
        if not PINNED.fullmatch(uses)
    ]


def images(files):
    """Return every image that the jobs run or start."""
    return [
        service["image"]
        for file in files.values()
        for job in file["jobs"].values()
        for service in job.get("services", {}).values()
    ]
