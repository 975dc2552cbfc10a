"""Read CircleCI's configuration as the pipeline that tests/pipelines/model.py defines.

Keys: https://circleci.com/docs/reference/configuration-reference/
"""

import re

from tests.pipelines.model import (
    HANDED_ON,
    PINNED_NODE,
    PINNED_UV,
    PORTS,
    POSTGRES,
    Job,
    lead,
    setup,
    unknown,
    without_digest,
)

FILE = ".circleci/config.yml"
FILES = [FILE]
KEY = 'uv-{{ checksum ".python-version" }}-{{ checksum "requirements-dev.txt" }}'
# The cache is written once; every job begins with it.
RESTORE = {"key": KEY}
REPORTS, DIGEST = {"path": "reports"}, {"path": HANDED_ON["image"]}
KEPT = {name: {"root": ".", "paths": [path]} for name, path in HANDED_ON.items()}
TAKE = {"at": "."}
SAVE = {"key": KEY, "paths": ["~/.cache/uv"], "when": "always"}
WHEN = {
    'pipeline.parameters.run == "ci"': {"request", "main"},
    'pipeline.parameters.run == "nightly"': {"nightly"},
    'pipeline.parameters.run == "rollback-staging"': {"rollback"},
    'pipeline.parameters.run == "rollback-production"': {"rollback"},
}
# When the filter of a job holds; a job without one always runs.
FILTERS = {
    'pipeline.git.branch != "main"': {"request"},
    'pipeline.git.branch == "main"': {"main", "rollback"},
}
LOCK = "<< pipeline.project.slug >>/"
# CircleCI's machine, which has Docker and make.
MACHINE = "ubuntu-2404:current"
# What a job with Docker may do before it calls make.
SETUP = {
    r"docker buildx create --driver-opt image=(\S+) --use": "builder",
    re.escape(
        'echo "$REGISTRY_PASSWORD" | docker login'
        ' --username "$REGISTRY_USER" --password-stdin "$REGISTRY"'
    ): "registry",
}
# Contexts belong to an organization, so each is named for its project.
OURS = "my-project-"
# What the README lets a context hold that make reads.
CONTEXTS = {"registry": {"IMAGE": "the registry's"}}


def parse(project):
    """Return the parsed files of a project, by name."""
    return {FILE: project.yaml(FILE)}


def read(files):
    """Return the jobs of each workflow, from the parsed files.

    A workflow apart from `ci` and `nightly` may fail: the others do not heed it.
    """
    file = files[FILE]
    found = {"request": {}, "main": {}, "rollback": {}, "nightly": {}}
    for name, workflow in file["workflows"].items():
        for job, options in read_entries(workflow).items():
            read = read_job(file["jobs"][job], options, file)
            read.may_fail = name == "audit"
            read.more += unknown(workflow, {"when", "jobs"})
            flows = WHEN[workflow["when"]]
            for flow in flows & FILTERS.get(str(options.get("filters")), flows):
                found[flow][job] = read
    # A workflow's jobs may begin in any order; who reads the file reads this one.
    return {
        flow: {job: jobs[job] for job in file["jobs"] if job in jobs}
        for flow, jobs in found.items()
    }


def read_entries(workflow):
    """Return the jobs of a workflow with their options; a job looks through approvals."""
    entries = dict(
        (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        for entry in workflow["jobs"]
    )
    approvals = {job: it for job, it in entries.items() if "type" in it}
    return {
        job: through(approvals, options)
        for job, options in entries.items()
        if job not in approvals
    }


def read_contexts(options):
    """Return the names of a job's contexts, of which one may stand alone."""
    contexts = options.get("context", [])
    return [contexts] if isinstance(contexts, str) else contexts


def through(approvals, options):
    """Return a job's options with each approval replaced by what that waits for.

    An approval that holds for other branches than its job leaves the job without one.
    """
    requires, is_held = [], False
    for name in options.get("requires", []):
        approval = approvals.get(name, {})
        if approval == approval | {
            "type": "approval",
            "filters": options.get("filters"),
        }:
            is_held = True
            requires += approval["requires"]
        else:
            requires.append(name)
    return options | {"requires": requires, "type": "approval" if is_held else ""}


def frame(files):
    """Return what stands around the jobs."""
    inner = {"jobs", "commands", "executors", "workflows"}
    return {key: value for key, value in files[FILE].items() if key not in inner}


def read_job(job, options, file):
    executor = file["executors"][job["executor"]]
    primary, *services = executor.get("docker", [{}])
    names = [without_digest(service["image"]) for service in services]
    listening = {("127.0.0.1", PORTS[name]): name for name in names if name in PORTS}
    passwords = {
        name: service.get("environment", {}).get("POSTGRES_PASSWORD")
        for name, service in zip(names, services, strict=True)
    }
    steps = list(expand(job["steps"], file["commands"]))
    runs = [body for step, body in steps if step == "run"]
    begun, run = setup([body["command"] for body in runs], SETUP)
    contexts = [
        name.removeprefix(OURS) if name.startswith(OURS) else f"{name} of all projects"
        for name in read_contexts(options)
    ]
    read = Job(
        run=run,
        needs=options.get("requires", []),
        services=names,
        variables=lead(
            primary.get("environment", {}) | job.get("environment", {}),
            listening,
            passwords.get(POSTGRES),
        ),
        # CircleCI has no limit for a whole job, only for a step that falls silent.
        has_timeout=all("no_output_timeout" in body for body in runs),
        is_cached=("restore_cache", RESTORE) in steps,
        tools=read_tools(executor, begun),
        publishes=["reports"] if publishes(steps) else [],
        may_write=["packages"] * ("registry" in begun and "make publish" in run),
        takes=find_taken(options, file) if ("attach_workspace", TAKE) in steps else [],
        secrets=contexts,
        lock=options.get("serial-group", "").removeprefix(LOCK),
        by_person=options["type"] == "approval",
        main_only=FILTERS.get(str(options.get("filters"))) == {"main", "rollback"},
        more=unknown(
            options, {"requires", "context", "filters", "serial-group", "type"}
        )
        + unknown(job, {"executor", "steps", "environment"})
        + unknown(executor, {"docker", "machine"}),
    )
    for name in contexts:
        read.variables = CONTEXTS.get(name, {}) | read.variables
    if read.lock:
        # A delivery takes a digest, and the system's Python.
        own = {"IMAGE": "", "PYENV_VERSION": "system"}
        variables = read.variables.items()
        read.variables = {k: v for k, v in variables if own.get(k) != v}
    if "registry" in begun and "registry" not in contexts:
        read.more.append("a login without its context")
    # Whoever attaches the workspace needs it there.
    is_taken = "attach_workspace" in str(file["jobs"])
    if ("store_artifacts", DIGEST) in steps:
        is_kept = "image" in find_kept(steps)
        read.publishes.append("image" if is_kept == is_taken else "for nobody")
    else:
        read.publishes += find_kept(steps)
    if str(options.get("filters")) not in ("None", *FILTERS):
        read.more.append(options["filters"])
    for image in (primary, *services):
        read.more += unknown(image, {"image", "environment"})
    if steps[0] != ("checkout", {}):
        read.more.append("no checkout")
    for step, body in steps:
        read.more += unknown_step(step, body)
    return read


def find_taken(options, file):
    """Return which digests the workspace holds from what a job waits for."""
    before = [file["jobs"].get(name, {}) for name in options.get("requires", [])]
    steps = [step for job in before for step in job.get("steps", [])]
    return find_kept(list(expand(steps, file["commands"])))


def find_kept(steps):
    """Return which digests a job leaves in the workspace."""
    return [
        name for name, kept in KEPT.items() if ("persist_to_workspace", kept) in steps
    ]


def read_tools(executor, begun):
    """Return what a job works with."""
    if executor == {"machine": {"image": MACHINE}}:
        return ["docker"] + ["builder"] * ("builder" in begun)
    images = [it["image"] for it in executor.get("docker", [])]
    if images and PINNED_UV.fullmatch(images[0]):
        return ["uv"]
    is_node = bool(images and PINNED_NODE.fullmatch(images[0]))
    return ["node"] if is_node else [executor]


def expand(steps, commands, arguments=None):
    """Yield the name and the body of each step, with the commands put in place."""
    for step in steps:
        name, body = (step, {}) if isinstance(step, str) else next(iter(step.items()))
        body = fill(body, arguments or {})
        if name in commands:
            known = commands[name].get("parameters", {})
            default = {k: it["default"] for k, it in known.items() if "default" in it}
            yield from expand(commands[name]["steps"], commands, default | body)
        else:
            yield name, body


def fill(value, arguments):
    """Return a value with its parameters replaced; one that is not given is an error."""
    if isinstance(value, dict):
        return {key: fill(item, arguments) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, arguments) for item in value]
    return re.sub(r"<< parameters\.(\w+) >>", lambda found: arguments[found[1]], value)


def publishes(steps):
    return all(
        (step, REPORTS) in steps for step in ("store_test_results", "store_artifacts")
    )


def unknown_step(step, body):
    """Return a list with the step if the allow-list does not hold it."""
    if step == "run":
        return unknown(body, {"name", "command", "no_output_timeout"})
    allowed = {
        "checkout": [{}],
        "restore_cache": [RESTORE],
        "save_cache": [SAVE],
        "store_test_results": [REPORTS],
        "store_artifacts": [REPORTS, DIGEST],
        "persist_to_workspace": [*KEPT.values()],
        "attach_workspace": [TAKE],
    }
    return [] if body in allowed.get(step, []) else [(step, body)]


def images(files):
    """Return every image that the jobs run or start. The machine is CircleCI's own."""
    return [
        image["image"]
        for executor in files[FILE]["executors"].values()
        for image in executor.get("docker", [])
    ] + re.findall(r"image=(\S+)", str(files[FILE]["jobs"]))
