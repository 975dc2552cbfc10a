"""Read CircleCI's configuration as the pipeline that tests/pipelines/model.py defines.

Keys: https://circleci.com/docs/reference/configuration-reference/
"""

import os
import re

from tests.pipelines.model import (
    PINNED_UV,
    PORTS,
    POSTGRES,
    PROMOTED,
    Job,
    is_pinned,
    resolve_addresses,
    split_setup,
    unknown,
    without_digest,
)

FILE = ".circleci/config.yml"
FILES = [FILE]
KEY = 'uv-{{ checksum ".python-version" }}-{{ checksum "requirements-dev.txt" }}'
# The cache is written once; every job of a branch begins with it.
RESTORE = {"key": KEY}
NOT_ON_MAIN = {"not": {"equal": ["main", "<< pipeline.git.branch >>"]}}
REPORTS, DIGEST = {"path": "reports"}, {"path": PROMOTED["image"]}
OUTCOME = {"path": "reports/deployment.xml"}  # of a deployment or a rollback
PERSIST = {
    name: {"root": "reports", "paths": [os.path.relpath(path, "reports")]}
    for name, path in PROMOTED.items()
}
# Elsewhere, a file of the workspace could replace one of the checkout.
ATTACH = {"at": "reports"}
SAVE = {"key": KEY, "paths": ["~/.cache/uv"], "when": "always"}
WHEN = {
    'pipeline.parameters.run == "ci"': {"request", "main"},
    'pipeline.parameters.run == "nightly"': {"nightly"},
    'pipeline.parameters.run == "rollback-staging"': {"rollback"},
    'pipeline.parameters.run == "rollback-production"': {"rollback"},
}
# The workflows in which a filter is true; a job without one always runs.
FILTERS = {
    'pipeline.git.branch != "main"': {"request"},
    'pipeline.git.branch == "main"': {"main", "rollback", "nightly"},
}
GROUP = "<< pipeline.project.slug >>/"
# CircleCI's machine, which has Docker and make.
MACHINE = "ubuntu-2404:current"
# A job with Docker may run these before it calls make.
SETUP = {
    r"docker buildx create --driver-opt image=(\S+) --use": "builder",
    re.escape(
        'echo "$REGISTRY_PASSWORD" | docker login'
        ' --username "$REGISTRY_USER" --password-stdin "$REGISTRY"'
    ): "registry",
}
# What a person who starts a rollback can set
RELEASE = "<< pipeline.parameters.release >>"
OLDER = "git checkout --quiet HEAD~<< pipeline.parameters.older >>"
# Contexts belong to an organization, so their names begin with the project's.
CONTEXT_PREFIX = "my-project-"
# The variables that a context holds, by docs/pipeline.md, and make reads.
CONTEXTS = {"registry": {"IMAGE": "the registry's"}}
# A deployment runs the system's Python.
DEPLOYMENT_VARIABLES = {"PYENV_VERSION": "system"}
ENTRY_KEYS = {"requires", "context", "filters", "serial-group", "type"}


def parse(project):
    """Return the parsed files of a project, by name."""
    return {FILE: project.yaml(FILE)}


def read(files):
    """Return the jobs of each workflow, from the parsed files.

    The workflow `audit` may fail: no other workflow depends on it.
    """
    file = files[FILE]
    found = {"request": {}, "main": {}, "rollback": {}, "nightly": {}}
    for name, workflow in file["workflows"].items():
        for job, options in read_entries(workflow).items():
            flows = WHEN[workflow["when"]]
            for flow in flows & FILTERS.get(str(options.get("filters")), flows):
                read = read_job(file["jobs"][job], options, file, flow)
                read.may_fail = name == "audit"
                read.unrecognised += unknown(workflow, {"when", "jobs"})
                found[flow][job] = read
    # The jobs of a workflow start in any order; a reader of the file sees this one.
    return {
        flow: {job: jobs[job] for job in file["jobs"] if job in jobs}
        for flow, jobs in found.items()
    }


def read_entries(workflow):
    """Return the jobs of a workflow with their options, without the approvals."""
    entries = dict(
        (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        for entry in workflow["jobs"]
    )
    approvals = {job: it for job, it in entries.items() if "type" in it}
    return {
        job: resolve_approvals(approvals, options)
        for job, options in entries.items()
        if job not in approvals
    }


def read_contexts(options):
    """Return the names of a job's contexts: the file has a name, or a list of them."""
    contexts = options.get("context", [])
    return [contexts] if isinstance(contexts, str) else contexts


def resolve_approvals(approvals, options):
    """Return a job's options with each approval replaced by its own requirements.

    An approval with other filters than its job does not count: the job then has none.
    """
    requires, is_held = [], False
    for name in options.get("requires", []):
        approval = approvals.get(name, {})
        wanted = {"type": "approval", "filters": options.get("filters")}
        if wanted.items() <= approval.items():
            is_held = True
            requires += approval["requires"]
        else:
            requires.append(name)
    return options | {"requires": requires, "type": "approval" if is_held else ""}


def workflow_settings(files):
    """Return everything around the jobs."""
    inner = {"jobs", "commands", "executors", "workflows"}
    return {key: value for key, value in files[FILE].items() if key not in inner}


def read_job(job, options, file, flow):
    """Return a job of a flow as the model has it; `options` is its entry in a workflow."""
    executor = file["executors"][job["executor"]]
    images = executor.get("docker", [{}])
    steps = list(expand(job["steps"], file["commands"], flow))
    runs = [body for step, body in steps if step == "run"]
    begun, run = split_setup([body["command"] for body in runs], SETUP)
    filters = FILTERS.get(str(options.get("filters")))
    read = Job(
        run=run,
        needs=options.get("requires", []),
        services=[without_digest(image["image"]) for image in images[1:]],
        variables=read_variables(job, images),
        # CircleCI has no limit for a whole job, only for a step without output.
        has_timeout=all("no_output_timeout" in body for body in runs),
        is_cached=("restore_cache", RESTORE) in steps,
        tools=read_tools(executor, begun),
        publishes=read_published(steps, file),
        write_permissions=read_permissions(begun, run),
        logs_in="registry" in begun,
        consumes=read_consumed(options, steps, file),
        secrets=[project_context(name) for name in read_contexts(options)],
        concurrency_group=options.get("serial-group", "").removeprefix(GROUP),
        # A checkout has all branches, and their history.
        knows_base="make check-migrations" in run and ("checkout", {}) in steps,
        knows_order="make deploy" in run and ("checkout", {}) in steps,
        manual=options["type"] == "approval",
        main_only=filters == {"main", "rollback", "nightly"},
        unrecognised=read_unrecognised(job, options, executor, steps),
    )
    for name in read.secrets:
        read.variables = CONTEXTS.get(name, {}) | read.variables
    read_inputs(read)
    if read.concurrency_group:
        read.variables = without(DEPLOYMENT_VARIABLES, read.variables)
    if "registry" in begun and not read.secrets:
        read.unrecognised.append("a login without its context")
    return read


def read_permissions(begun, run):
    """Return what a job can write to with the keys of its context."""
    if "make template-request" in run:
        return ["contents", "pull-requests"]
    return ["packages"] * ("registry" in begun and "make publish" in run)


def read_inputs(read):
    """Read what a person can set. An older commit comes before the job's other commands."""
    if read.variables.get("RELEASE") == RELEASE:
        read.inputs.append("release")
        del read.variables["RELEASE"]
    if read.run[0] == OLDER:
        read.inputs.append("older")
        del read.run[0]


def read_unrecognised(job, options, executor, steps):
    """Return everything about a job that the reader does not know."""
    found = unknown(options, ENTRY_KEYS)
    found += unknown(job, {"executor", "steps", "environment"})
    found += unknown(executor, {"docker", "machine"})
    for image in executor.get("docker", []):
        found += unknown(image, {"image", "environment"})
    for step in steps:
        found += unknown_step(*step)
    if str(options.get("filters")) not in ("None", *FILTERS):
        found.append(options["filters"])
    is_shown = ("store_test_results", OUTCOME) in steps
    if is_shown != ("serial-group" in options):
        found.append("a failure that the run does not show")
    if steps[0] != ("checkout", {}):
        found.append("no checkout")
    return found


def read_variables(job, images):
    """Return the variables of a job; its services share the address 127.0.0.1."""
    primary, *services = images
    names = [without_digest(service["image"]) for service in services]
    listening = {("127.0.0.1", PORTS[name]): name for name in names if name in PORTS}
    passwords = {
        name: service.get("environment", {}).get("POSTGRES_PASSWORD")
        for name, service in zip(names, services, strict=True)
    }
    variables = primary.get("environment", {}) | job.get("environment", {})
    return resolve_addresses(variables, listening, passwords.get(POSTGRES))


def without(known, variables):
    """Return the variables that do not have their known value."""
    return {k: v for k, v in variables.items() if known.get(k) != v}


def project_context(name):
    """Return the name of a context without the project's, which it has to begin with."""
    if name.startswith(CONTEXT_PREFIX):
        return name.removeprefix(CONTEXT_PREFIX)
    return f"{name} of all projects"


def read_published(steps, file):
    """Return what a job leaves for a person, and in the workspace for later jobs."""
    reports = ("store_test_results", "store_artifacts")
    found = ["reports"] if all((step, REPORTS) in steps for step in reports) else []
    digests = persisted(steps)
    is_stored = ("store_artifacts", DIGEST) in steps
    if is_stored or "image" in digests:
        # The digest is in the workspace exactly if a later job attaches it.
        others = [job for name, job in file["jobs"].items() if "template" not in name]
        is_consumed = "attach_workspace" in str(others)
        is_whole = is_stored and ("image" in digests) == is_consumed
        found.append("image" if is_whole else "a part of image")
    return found + [name for name in digests if name != "image"]


def read_consumed(options, steps, file):
    """Return the digests that a job finds in the workspace of the jobs it requires."""
    if ("attach_workspace", ATTACH) not in steps:
        return []
    before = [file["jobs"].get(name, {}) for name in options.get("requires", [])]
    earlier = [step for job in before for step in job.get("steps", [])]
    return persisted(list(expand(earlier, file["commands"], "main")))


def persisted(steps):
    """Return the digests that a job leaves in the workspace."""
    return [
        name
        for name, body in PERSIST.items()
        if ("persist_to_workspace", body) in steps
    ]


def read_tools(executor, begun):
    """Return what a job works with."""
    if executor == {"machine": {"image": MACHINE}}:
        return ["docker"] + ["builder"] * ("builder" in begun)
    images = [it["image"] for it in executor.get("docker", [])]
    if images and PINNED_UV.fullmatch(images[0]):
        return ["uv"]
    names = [it for it in ("node", "python") if images and is_pinned(images[0], it)]
    return names or [executor]


def expand(steps, commands, flow, arguments=None):
    """Yield the name and the body of each step of a flow, with the commands in place."""
    for step in steps:
        name, body = (step, {}) if isinstance(step, str) else next(iter(step.items()))
        body = fill(body, arguments or {})
        if name in commands:
            known = commands[name].get("parameters", {})
            default = {k: it["default"] for k, it in known.items() if "default" in it}
            yield from expand(commands[name]["steps"], commands, flow, default | body)
        elif name == "when" and body.items() >= {"condition": NOT_ON_MAIN}.items():
            if flow == "request":
                yield from expand(body["steps"], commands, flow, arguments)
        else:
            yield name, body


def fill(value, arguments):
    """Return a value with its parameters replaced; one that is not given is an error."""
    if isinstance(value, dict):
        return {key: fill(item, arguments) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, arguments) for item in value]
    return re.sub(r"<< parameters\.(\w+) >>", lambda found: arguments[found[1]], value)


def unknown_step(step, body):
    """Return a list with the step if the allow-list does not hold it."""
    if step == "run":
        return unknown(body, {"name", "command", "no_output_timeout"})
    allowed = {
        "checkout": [{}],
        "restore_cache": [RESTORE],
        "save_cache": [SAVE],
        "store_test_results": [REPORTS, OUTCOME],
        "store_artifacts": [REPORTS, DIGEST],
        "persist_to_workspace": [*PERSIST.values()],
        "attach_workspace": [ATTACH],
    }
    return [] if body in allowed.get(step, []) else [(step, body)]


def images(files):
    """Return every image that the jobs run or start. The machine is CircleCI's own."""
    return [
        image["image"]
        for executor in files[FILE]["executors"].values()
        for image in executor.get("docker", [])
    ] + re.findall(r"image=(\S+)", str(files[FILE]["jobs"]))
