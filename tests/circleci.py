"""Read CircleCI's configuration as the pipeline that tests/pipeline.py defines.

Keys: https://circleci.com/docs/reference/configuration-reference/
"""

import re

from pipeline import PORTS, POSTGRES, Job, lead, unknown, without_digest

FILE = ".circleci/config.yml"
FILES = [FILE]
KEY = 'uv-{{ checksum ".python-version" }}-{{ checksum "requirements-dev.txt" }}'
# The cache is written once; every job begins with it.
RESTORE = {"key": KEY}
SAVE = {"key": KEY, "paths": ["~/.cache/uv"], "when": "always"}
WHEN = {
    "not pipeline.parameters.nightly": "change",
    "pipeline.parameters.nightly": "nightly",
}


def parse(project):
    """Return the parsed files of a project, by name."""
    return {FILE: project.yaml(FILE)}


def read(files):
    """Return the jobs of each workflow, from the parsed files.

    A workflow apart from `ci` and `nightly` may fail: the others do not heed it.
    """
    file, found = files[FILE], {"change": {}, "nightly": {}}
    for name, workflow in file["workflows"].items():
        for entry in workflow["jobs"]:
            job, options = (
                (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
            )
            read = read_job(file["jobs"][job], options, file)
            read.may_fail = name not in {"ci", "nightly"}
            read.more += unknown(workflow, {"when", "jobs"})
            found[WHEN[workflow["when"]]][job] = read
    return found


def frame(files):
    """Return what stands around the jobs."""
    inner = {"jobs", "commands", "executors", "workflows"}
    return {key: value for key, value in files[FILE].items() if key not in inner}


def read_job(job, options, file):
    primary, *services = file["executors"][job["executor"]]["docker"]
    names = [without_digest(service["image"]) for service in services]
    listening = {("127.0.0.1", PORTS[name]): name for name in names if name in PORTS}
    passwords = {
        name: service.get("environment", {}).get("POSTGRES_PASSWORD")
        for name, service in zip(names, services, strict=True)
    }
    steps = list(expand(job["steps"], file["commands"]))
    runs = [body for step, body in steps if step == "run"]
    read = Job(
        run=[body["command"] for body in runs],
        needs=options.get("requires", []),
        services=names,
        variables=lead(
            primary.get("environment", {}), listening, passwords.get(POSTGRES)
        ),
        # CircleCI has no limit for a whole job, only for a step that falls silent.
        has_timeout=all("no_output_timeout" in body for body in runs),
        is_cached=("restore_cache", RESTORE) in steps,
        publishes=["reports"] if publishes(steps) else [],
        secrets=[options["context"]] if "context" in options else [],
        more=unknown(options, {"requires", "context"})
        + unknown(job, {"executor", "steps"}),
    )
    for image in (primary, *services):
        read.more += unknown(image, {"image", "environment"})
    if steps[0] != ("checkout", {}):
        read.more.append("no checkout")
    for step, body in steps:
        read.more += unknown_step(step, body)
    return read


def expand(steps, commands, arguments=None):
    """Yield the name and the body of each step, with the commands put in place."""
    for step in steps:
        name, body = (step, {}) if isinstance(step, str) else next(iter(step.items()))
        body = fill(body, arguments or {})
        if name in commands:
            yield from expand(commands[name]["steps"], commands, body)
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
        (step, {"path": "reports"}) in steps
        for step in ("store_test_results", "store_artifacts")
    )


def unknown_step(step, body):
    """Return a list with the step if the allow-list does not hold it."""
    if step == "run":
        return unknown(body, {"name", "command", "no_output_timeout"})
    allowed = {
        "checkout": {},
        "restore_cache": RESTORE,
        "save_cache": SAVE,
        "store_test_results": {"path": "reports"},
        "store_artifacts": {"path": "reports"},
    }
    return [] if step in allowed and body == allowed[step] else [(step, body)]


def images(files):
    """Return every image that the jobs run or start."""
    return [
        image["image"]
        for executor in files[FILE]["executors"].values()
        for image in executor["docker"]
    ]
