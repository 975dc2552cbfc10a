"""Read GitHub's workflows as the pipeline that tests/pipelines/model.py defines."""

import json
import re

from tests.pipelines.model import (
    PROMOTED,
    SMOKE,
    Job,
    is_pinned,
    name_of,
    resolve_addresses,
    unknown,
    without_digest,
)

CHANGE, NIGHTLY = ".github/workflows/ci.yml", ".github/workflows/nightly.yml"
ROLLBACK = ".github/workflows/rollback.yml"
FILES = [CHANGE, NIGHTLY]  # and ROLLBACK, if the project has a deploy target
WORKFLOWS = {
    "request": CHANGE,
    "main": CHANGE,
    "rollback": ROLLBACK,
    "nightly": NIGHTLY,
}
INPUT = "${{ inputs.environment }}"
JOB_KEYS = {"name", "runs-on", "timeout-minutes", "needs", "permissions", "services"}
JOB_KEYS |= {"env", "steps", "continue-on-error", "if", "environment", "concurrency"}
HELD = "approval"  # a key of our own, for a job that waits for an approval
MAIN = "github.ref == 'refs/heads/main'"
# The workflows in which a condition is true; a job without one always runs.
HOLDS = {
    # A pull request, and the merge queue, which waits for all required checks
    "github.event_name != 'push'": {"request"},
    f"github.event_name == 'push' && {MAIN}": {"main"},
    MAIN: {"main", "rollback", "nightly"},
}
# The job that waits for an approval, without its needs and the commands of its only step
APPROVAL = {
    "name": "approve-production",
    "if": f"github.event_name == 'push' && {MAIN}",
    "runs-on": "ubuntu-24.04",
    "timeout-minutes": "10",
    "environment": {"name": "production-approval", "deployment": "false"},
    "concurrency": {"group": "approve-production", "cancel-in-progress": "true"},
    "permissions": {"actions": "read"},
}
APPROVED = {
    "name": "Check that a person had to approve",
    "if": "vars.PRODUCTION_WITHOUT_APPROVAL != 'yes'",
    "env": {"TOKEN": "${{ github.token }}"},
}
IMAGE = "ghcr.io/${{ github.repository }}"
OTHER_IMAGE = "${{ vars.IMAGE }}"
LOGIN = {
    "registry": "ghcr.io",
    "username": "${{ github.actor }}",
    "password": "${{ github.token }}",
}
# A key of the job's environment
OTHER_LOGIN = {
    "registry": "${{ vars.REGISTRY }}",
    "username": "${{ vars.REGISTRY_USER }}",
    "password": "${{ secrets.REGISTRY_PASSWORD }}",
}
# With these, Kamal's servers pull the image.
PULL = {
    "REGISTRY_USER": "${{ github.actor }}",
    "REGISTRY_PASSWORD": "${{ github.token }}",
}
OTHER_USER = {"REGISTRY_USER": "${{ vars.REGISTRY_USER }}"}
# With these, `make check-migrations` finds the migrations of a change, which GitHub has
# merged into its target branch, and prints its warnings as GitHub's annotations. A change
# in the merge queue may be several commits.
CHECK_MIGRATIONS = {
    "BASE_COMMIT": "${{ github.event.merge_group.base_sha || 'HEAD^1' }}",
    "WARNING_FORMAT": "::warning file={path}::{path}: {text}",
}
# With this, the tests in a browser come through to staging.
HEADER = {"SMOKE_HEADER_STAGING": "${{ secrets.SMOKE_HEADER_STAGING }}"}
# With its own token, the job cannot push workflows, so a team may set another one.
PUSH = {"TEMPLATE_TOKEN": "${{ secrets.TEMPLATE_TOKEN || github.token }}"}
OUTCOME = {
    "ERROR_FORMAT": "::error title={title}::{text}",
    "SUMMARY_VARIABLE": "GITHUB_STEP_SUMMARY",
}
READS = {("contents", "read"), ("packages", "read")}
OVERWRITE = {"overwrite": "true"}
REPORTS = {"name": "reports", "path": "reports", "retention-days": "14"} | OVERWRITE
DIGESTS = {
    name: {"name": name, "path": path, "retention-days": "90"} | OVERWRITE
    for name, path in PROMOTED.items()
}
DIGESTS["staging"]["if-no-files-found"] = "error"
DIGESTS["template"]["if-no-files-found"] = "error"
DOWNLOADS = {name: {"name": name, "path": "reports"} for name in PROMOTED}
SECRET = re.compile(r"\bsecrets\b[.\w]*|\bgithub\.token\b")
# What a person who starts a rollback can set
RELEASE = {"RELEASE": "${{ inputs.release }}"}
OLDER = {
    "name": "Check out an older commit",
    "run": 'git checkout --quiet "HEAD~$OLDER"',
    "env": {"OLDER": "${{ inputs.older }}"},
}
DEPTH = "100"
# The folders of other commits, without or with their files
FILTERS = ("blob:none", None)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def parse(project):
    """Return the parsed files of a project, by name."""
    return {
        name: project.yaml(name)
        for name in [*FILES, ROLLBACK]
        if name in FILES or project.has(name)
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
    for name, job in resolve_approvals(file["jobs"]).items():
        if INPUT not in str(job):
            yield name, job
            continue
        choices = file["on"]["workflow_dispatch"]["inputs"]["environment"]["options"]
        for choice in choices:
            yield f"{name}-{choice}", json.loads(json.dumps(job).replace(INPUT, choice))


def resolve_approvals(jobs):
    """Return the other jobs, with each approval replaced by its own requirements."""
    approvals = {name: job["needs"] for name, job in jobs.items() if is_approval(job)}
    found = {}
    for name, job in jobs.items():
        held = approvals.keys() & set(job.get("needs", []))
        if held:
            before = [it for approval in held for it in approvals[approval]]
            others = [it for it in job["needs"] if it not in held]
            job = job | {"needs": list(dict.fromkeys(before + others)), HELD: True}
        if name not in approvals:
            found[name] = job
    return found


def is_approval(job):
    """Return whether a job only waits for an approval, and checks that it needed one.

    tests/pipelines/test_runs.py runs the commands of the check.
    """
    known = job.keys() - {"needs", "steps"}
    step = job["steps"][0] if len(job["steps"]) == 1 else {}
    return (
        {key: job[key] for key in known} == APPROVAL
        and step.keys() - APPROVED.keys() == {"run"}
        and step | APPROVED == step
    )


def workflow_settings(files):
    """Return everything around the jobs, by file."""
    return {
        name: {key: value for key, value in file.items() if key != "jobs"}
        for name, file in files.items()
    }


def read_job(name, job):
    """Return a job as the model has it."""
    services = job.get("services", {})
    listening = {
        ("127.0.0.1", published_port(service)): without_digest(service["image"])
        for service in services.values()
    }
    password = services.get("postgres", {}).get("env", {}).get("POSTGRES_PASSWORD")
    needs = job.get("needs", [])
    image = OTHER_IMAGE if environment_of(job) == "registry" else IMAGE
    read = Job(
        run=[step["run"] for step in job["steps"] if "run" in step],
        needs=[needs] if isinstance(needs, str) else needs,
        services=list(listening.values()),
        variables=resolve_addresses(job.get("env", {}), listening, password, image),
        may_fail=job.get("continue-on-error") == "true",
        has_timeout="timeout-minutes" in job,
        is_cached=False,
        tools=["docker"],  # Each runner has it.
        keeps_credentials=True,
        main_only=job.get("if", "").endswith(MAIN),
        manual=HELD in job,
        unrecognised=unknown(job, {*JOB_KEYS, HELD}),
    )
    if "if" in job and job["if"] not in HOLDS:
        read.unrecognised.append(job["if"])
    if job["name"] != name:
        read.unrecognised.append(job["name"])
    read_environment(job, read)
    read_inputs(job, read)
    read_concurrency(job, read)
    read.secrets += SECRET.findall(str(job | {"steps": [], "env": read.variables}))
    for service in services.values():
        read_service(service, read)
    for step in job["steps"]:
        read_step(step, read)
    read_permissions(job, read)
    return read


def read_permissions(job, read):
    """Read the permissions of a job. Without any, it has those of the workflow."""
    permissions = job.get("permissions", {"all": "of the workflow"})
    for scope, access in permissions.items():
        if access == "write":
            read.write_permissions.append(scope)
        elif (scope, access) not in READS:
            read.unrecognised.append((scope, access))
    has_key = any(step.get("with") == OTHER_LOGIN for step in job["steps"])
    environment = environment_of(job)
    if has_key and environment == "registry":
        read.write_permissions.append("packages")
    elif has_key and not environment:
        read.unrecognised.append("a login without a key")
    # Exactly the jobs that log in to GitHub's registry may read it.
    needs_permission = "registry" in read.secrets and environment != "registry"
    if ("packages" in permissions) != needs_permission:
        read.unrecognised.append("a login without a permission, or the reverse")


def environment_of(job):
    """Return the name of a job's environment, or an empty text."""
    environment = job.get("environment", "")
    return environment.get("name", "") if isinstance(environment, dict) else environment


def read_environment(job, read):
    """Read the environment of a job. The job passes its secrets on by their own names."""
    environment = job.get("environment")
    if isinstance(environment, dict):
        read.unrecognised += unknown(environment, {"name", "url", "deployment"})
        deploys = "make deploy" in read.run
        if environment.get("deployment") != (None if deploys else "false"):
            read.unrecognised.append(environment)
    environment = environment_of(job)
    if environment and "make e2e" in read.run:
        # Only the command gets a secret of it.
        read.unrecognised += [environment] if environment != "staging" else []
    elif environment:
        read.secrets.append(environment)
        # The other providers pass it on automatically.
        for name in ("SMOKE_SECONDS", "WATCH_SECONDS"):
            if read.variables.get(name) == f"${{{{ vars.{name} }}}}":
                del read.variables[name]


def read_inputs(job, read):
    """Read what a person can set. An older commit comes before the job's other commands."""
    if RELEASE.items() <= read.variables.items():
        read.inputs.append("release")
        del read.variables["RELEASE"]
    checkout, *others = job["steps"]
    is_deep = checkout.get("with", {}).get("fetch-depth") == DEPTH
    if others[:1] == [OLDER] and is_deep:
        read.inputs.append("older")
        del read.run[0]


def read_concurrency(job, read):
    """Read the concurrency group of a job, in which runs wait for each other."""
    if "concurrency" in job:
        group = job["concurrency"].get("group", "")
        read.concurrency_group = group.removeprefix("deploy-")
        whole = {"group": f"deploy-{read.concurrency_group}", "queue": "max"}
        if job["concurrency"] != whole:
            read.unrecognised.append(job["concurrency"])


def read_service(service, read):
    read.unrecognised += unknown(service, {"image", "env", "options", "ports"})
    if "--health-cmd" not in service.get("options", ""):
        read.unrecognised.append("a service without a health check")


def read_step(step, read):
    if "uses" in step:
        read_action(step, read)
    else:
        read_command(step, read)


def read_command(step, read):
    """Read a command. One that deploys gets the secrets of its environment."""
    known = {"name", "run"}
    if step == OLDER:
        return
    if step.get("run") in ("make deploy", "make rollback"):
        known |= {"env"}
        by_own_name = passed_on(step)
        others = {k: v for k, v in step["env"].items() if k not in by_own_name}
        if OUTCOME.items() - others.items():
            read.unrecognised.append("a failure that the run does not show")
        others = dict(others.items() - OUTCOME.items())
        login = ["registry"] if others == PULL else SECRET.findall(str(others))
        read.secrets += [] if others == OTHER_USER else login
    elif step.get("run") == "make e2e" and step.get("env") == HEADER:
        known |= {"env"}
        read.secrets.append("e2e")
    elif step.get("run") == SMOKE and step.get("env") == HEADER:
        known |= {"env"}
    elif step.get("run") == SMOKE:
        read.unrecognised.append("a smoke test without the header")
    elif step.get("run") == "make template-request" and step.get("env") == PUSH:
        known |= {"env"}
    else:
        read.secrets += SECRET.findall(str(step))
    if step.get("run") == "make check-migrations":
        known |= {"env"}
        if step.get("env") != CHECK_MIGRATIONS:
            read.unrecognised.append(step.get("env"))
    read.unrecognised += unknown(step, known)


def step_of(job, command):
    """Return the step of a job that runs a command."""
    return next(step for step in job["steps"] if step.get("run") == command)


def passed_on(step):
    """Return the names of the secrets that a step gets under their own names."""
    return [
        name
        for name, value in step.get("env", {}).items()
        if value == f"${{{{ secrets.{name} }}}}"
    ]


def read_action(step, read):
    """Read an action, if ACTIONS knows it."""
    known = {"name", "uses", "with"}
    action = step["uses"].partition("@")[0]
    if action in ACTIONS:
        ACTIONS[action](step, step.get("with", {}), read)
    else:
        read.unrecognised.append(action)
    if action == "actions/upload-artifact" and step.get("if") == "always()":
        known |= {"if"}
    if action != "docker/login-action":
        read.secrets += SECRET.findall(str(step))
    read.unrecognised += unknown(step, known)


def read_checkout(step, options, read):
    read.keeps_credentials = options.get("persist-credentials") != "false"
    # A rollback has older commits as well.
    is_deep = options.get("fetch-depth") == DEPTH
    read.knows_base = is_deep and "make check-migrations" in read.run
    known = {"persist-credentials", "fetch-depth"}
    if options.get("fetch-depth") == "0" and options.get("filter") in FILTERS:
        known |= {"filter"}
        read.knows_order = True
    read.unrecognised += unknown(options, known)


def read_uv(step, options, read):
    read.tools = ["uv"]
    pins = options.get("cache-dependency-glob") == "requirements-dev.txt"
    read.is_cached = pins and "enable-cache" not in options
    if not pins and options.get("enable-cache") != "false":
        read.unrecognised.append("a cache of all packages")
    known = {"version", "cache-dependency-glob", "enable-cache"}
    read.unrecognised += unknown(options, known)


def read_upload(step, options, read):
    """Read an upload: reports of every run, or the digest of one that succeeded."""
    # Two artifacts of a workflow need two names.
    name = "e2e" if "make e2e" in read.run else "reports"
    reports = {"reports": REPORTS | {"name": name}}
    known = reports if step.get("if") == "always()" else DIGESTS
    read.publishes.append(name_of(options, known))


def read_download(step, options, read):
    read.consumes.append(name_of(options, DOWNLOADS))


def read_login(step, options, read):
    """Read a login with the job's token, or with the key of its environment."""
    read.logs_in = True
    if options != OTHER_LOGIN:
        login = ["registry"] if options == LOGIN else SECRET.findall(str(step))
        read.secrets += login


def read_builder(step, options, read):
    """Read a builder that has its image, pinned, and no other option."""
    image = options.get("driver-opts", "").removeprefix("image=")
    if options.keys() == {"driver-opts"} and is_pinned(image, "moby/buildkit"):
        read.tools.append("builder")
    else:
        read.unrecognised.append(options)


ACTIONS = {
    "actions/checkout": read_checkout,
    "actions/download-artifact": read_download,
    "actions/upload-artifact": read_upload,
    "astral-sh/setup-uv": read_uv,
    "docker/login-action": read_login,
    "docker/setup-buildx-action": read_builder,
}


def published_port(service):
    """Return the port of 127.0.0.1 that leads to the only port of a service."""
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
