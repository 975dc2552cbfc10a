"""Read GitLab's pipeline as the pipeline that tests/pipeline.py defines.

Keywords: https://docs.gitlab.com/ci/yaml/
"""

import copy

from pipeline import PORTS, Job, lead, unknown, without_digest

FILE = ".gitlab-ci.yml"
FILES = [FILE]
GLOBAL = {"workflow", "stages", "default", "variables"}
JOB_KEYS = {"extends", "stage", "needs", "rules", "script", "services", "variables"}
JOB_KEYS |= {"coverage", "artifacts", "image", "timeout", "interruptible", "cache"}
CACHE = {
    "key": {"files": [".python-version", "requirements-dev.txt"]},
    "paths": [".cache/uv"],
}
PUBLISH = {
    "when": "always",
    "expire_in": "2 weeks",
    "paths": ["reports"],
    "reports": {
        "junit": "reports/junit.xml",
        "coverage_report": {
            "coverage_format": "cobertura",
            "path": "reports/coverage.xml",
        },
    },
}
SCHEDULED = '$CI_PIPELINE_SOURCE {} "schedule"'
# When a rule holds. One without a condition always does.
HOLDS = {
    SCHEDULED.format("=="): {"nightly"},
    SCHEDULED.format("!="): {"change"},
    None: {"change", "nightly"},
}


def parse(project):
    """Return the parsed files of a project, by name."""
    return {FILE: project.yaml(FILE)}


def read(files):
    """Return the jobs of each workflow, from the parsed files."""
    file = files[FILE]
    jobs = {
        name: extend(job, file)
        for name, job in file.items()
        if name not in GLOBAL and not name.startswith(".")
    }
    return {
        workflow: read_workflow(workflow, jobs, file)
        for workflow in ("change", "nightly")
    }


def frame(files):
    """Return what stands around the jobs."""
    return {key: value for key, value in files[FILE].items() if key in GLOBAL}


def extend(job, file):
    """Return a job with what it extends, and the defaults, laid below it."""
    parents = job.get("extends", [])
    whole = copy.deepcopy(file.get("default", {}))
    for parent in [parents] if isinstance(parents, str) else parents:
        merge(whole, file[parent])
    merge(whole, job)
    return whole


def merge(below, above):
    """Lay a mapping over another: mappings merge, anything else replaces."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            merge(below[key], value)
        else:
            below[key] = copy.deepcopy(value)


def read_workflow(workflow, jobs, file):
    rules = {name: first_rule(job, workflow) for name, job in jobs.items()}
    jobs = {name: job for name, job in jobs.items() if rules[name] is not None}
    return {
        name: read_job(job, rules[name], earlier(job, jobs, file["stages"]), file)
        for name, job in jobs.items()
    }


def first_rule(job, workflow):
    """Return the rule that adds a job to a workflow, or None."""
    if "rules" not in job:
        return {}
    for rule in job["rules"]:
        if workflow in HOLDS[rule.get("if")]:
            return rule
    return None


def earlier(job, jobs, stages):
    """Return the jobs of earlier stages, which a job without `needs` waits for."""
    begin = stages.index(job["stage"])
    return [name for name, it in jobs.items() if stages.index(it["stage"]) < begin]


def read_job(job, rule, earlier, file):
    services, variables = job.get("services", []), job.get("variables", {})
    listening = {
        (service["alias"], PORTS[image]): image
        for service in services
        if (image := without_digest(service["name"])) in PORTS
    }
    # The services get the job's variables, so their password is the job's.
    password = variables.get("POSTGRES_PASSWORD")
    read = Job(
        run=job["script"],
        needs=job.get("needs", earlier),
        services=[without_digest(service["name"]) for service in services],
        variables=lead(variables, listening, password),
        may_fail=rule.get("allow_failure") == "true",
        has_timeout="timeout" in job,
        is_cached=job.get("cache") == CACHE,
        keeps_credentials=file.get("variables", {}).get("FF_GIT_URLS_WITHOUT_TOKENS")
        != "true",
        more=unknown(job, JOB_KEYS) + unknown(rule, {"if", "allow_failure"}),
    )
    for service in services:
        read.more += unknown(service, {"name", "alias"})
    if job.get("cache") not in (CACHE, []):
        read.more.append(job.get("cache"))
    if "artifacts" in job:
        is_whole = job["artifacts"] == PUBLISH and "coverage" in job
        read.publishes.append("reports" if is_whole else job["artifacts"])
    return read


def images(files):
    """Return every image that the jobs run or start."""
    file = files[FILE]
    services = [
        service["name"]
        for job in file.values()
        if "services" in job
        for service in job["services"]
    ]
    return [file["default"]["image"], *services]
