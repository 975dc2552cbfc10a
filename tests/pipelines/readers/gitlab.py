"""Read GitLab's pipeline as the pipeline that tests/pipelines/model.py defines.

Keywords: https://docs.gitlab.com/ci/yaml/
"""

import copy
import re

from tests.pipelines.model import (
    PINNED_UV,
    PORTS,
    PROMOTED,
    SMOKE,
    Job,
    is_pinned,
    name_of,
    resolve_addresses,
    split_setup,
    unknown,
    without_digest,
)

FILE = ".gitlab-ci.yml"
FILES = [FILE]
GLOBAL = {"workflow", "stages", "default", "variables"}
JOB_KEYS = {"extends", "stage", "needs", "rules", "script", "services", "variables"}
JOB_KEYS |= {"coverage", "artifacts", "image", "timeout", "interruptible", "cache"}
JOB_KEYS |= {"before_script", "environment", "resource_group"}
CACHE = {
    "key": {"files": [".python-version", "requirements-dev.txt"]},
    "paths": [".cache/uv"],
}
REPORTS = {
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
E2E_REPORTS = REPORTS | {"reports": {"junit": "reports/junit.xml"}}
# What the pipeline shows of a deployment or a rollback
OUTCOME = {"junit": "reports/deployment.xml"}
DIGESTS = {
    name: {"expire_in": "3 months", "paths": [path]} for name, path in PROMOTED.items()
}
# GitLab and Docker read these; no make target does.
OWN_VARIABLES = {"DOCKER_TLS_CERTDIR", "GIT_DEPTH"}
# The second commit exists only if GitLab has merged the change into its target branch.
BASE = {
    "BASE_COMMIT": "$CI_MERGE_REQUEST_DIFF_BASE_SHA $CI_MERGE_REQUEST_TARGET_BRANCH_SHA",
    "GIT_DEPTH": "100",
}
# With these, Kamal's servers pull the image.
PULL = {
    "REGISTRY_USER": "$CI_REGISTRY_USER",
    "REGISTRY_PASSWORD": "$CI_REGISTRY_PASSWORD",
}
IMAGE = "$CI_REGISTRY_IMAGE"
# The environment that has the key that pushes, and its other variables, by docs/pipeline.md
KEY = {"name": "registry", "action": "access"}
# The environment that has only the header that lets the tests in a browser into staging
HEADER = {"name": "e2e", "action": "access"}
# It has the token that opens a request with an update of the template.
TOKEN = {"name": "template", "action": "access"}
# The environments that deploy nothing, each with the last command of its only job
OWN = [(HEADER, SMOKE), (TOKEN, "make template-request")]
KEY_VARIABLES = {"IMAGE": "the registry's"}
LOGIN = (
    'echo "{0}_PASSWORD" | docker login --username "{0}_USER" --password-stdin "{0}"'
)
# During a deploy freeze, the job of production refuses to run.
REFUSE = (
    'test -z "$CI_DEPLOY_FREEZE" || { echo "Refusing to deploy during a deploy freeze.'
    " Start this job after it, or have a maintainer end it in"
    ' Settings > CI/CD > Deploy freezes." >&2; exit 2; }'
)
# A job may run these before it calls make.
SETUP = {
    "apk add --no-cache bash make": "make",
    "apk add --no-cache bash git make python3": "python",
    re.escape(REFUSE): "freeze",
    "python3 -m scripts.code_host": "download",
    "docker context create tls": "context",
    r"docker buildx create --driver-opt image=(\S+) --use tls": "builder",
    re.escape(LOGIN.format("$CI_REGISTRY")): "registry",
    re.escape(LOGIN.format("$REGISTRY")): "key",
}
# What a job with the environment of its key can write to
WRITES = {
    "make publish": ["packages"],
    "make template-request": ["contents", "pull-requests"],
}
WORKFLOWS = {"request", "main", "rollback", "nightly"}
SOURCE = "$CI_PIPELINE_SOURCE"
MAIN = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
PUSH = f'{SOURCE} == "push" && {MAIN}'
NIGHTLY = f'{SOURCE} == "schedule" && {MAIN}'
FROZEN = f"$CI_DEPLOY_FREEZE && {PUSH}"
# The workflows in which a rule holds. One without a condition always does.
HOLDS = {
    f'{SOURCE} == "schedule"': {"nightly"},
    f'{SOURCE} != "schedule"': {"request", "main"},
    f'{SOURCE} == "merge_request_event"': {"request"},
    PUSH: {"main"},
    FROZEN: set(),
    NIGHTLY: {"nightly"},
    MAIN: {"main", "nightly"},
    None: WORKFLOWS,
}
# An optional job does not belong to a push: a person starts it later, by itself.
OPTIONAL = {"when": "manual", "allow_failure": "true"}
HELD = {"if": FROZEN, "when": "manual"}
# Whether a freeze holds the job that deploys to an environment by a rule, and by a command
HOLDS_FREEZE = {"staging": (True, False), "production": (False, True)}


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
        for workflow in ("request", "main", "rollback", "nightly")
    }


def workflow_settings(files):
    """Return everything around the jobs."""
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
    """Return the jobs of one kind of pipeline by name, as the model has them."""
    rules = {name: first_rule(job, workflow) for name, job in jobs.items()}
    # The jobs that a person may start later are in the pipeline of main.
    pipeline = "main" if workflow == "rollback" else workflow
    others = {
        name: it for name, it in jobs.items() if first_rule(it, pipeline) is not None
    }
    return {
        name: read_job(job, rules[name], earlier(job, others, file["stages"]), file)
        for name, job in jobs.items()
        if rules[name] is not None
    }


def is_optional(rule):
    return rule | OPTIONAL == rule


def first_rule(job, workflow):
    """Return the rule that adds a job to a workflow, or None."""
    if "rules" not in job:
        return {} if workflow != "rollback" else None
    return next((it for it in job["rules"] if workflow in workflows_of(it)), None)


def workflows_of(rule):
    """Return the workflows to which a rule adds its job."""
    found = HOLDS.get(rule.get("if"), WORKFLOWS)
    if is_optional(rule):
        return {"rollback"} if "main" in found else set()
    return found - {"rollback"}


def earlier(job, jobs, stages):
    """Return the jobs of earlier stages, which a job without `needs` waits for."""
    begin = stages.index(job["stage"])
    return [name for name, it in jobs.items() if stages.index(it["stage"]) < begin]


def read_job(job, rule, earlier, file):
    """Return a job as the model has it.

    `rule` is the rule by which it runs; without `needs`, it needs the `earlier` jobs.
    """
    services = job.get("services", [])
    begun, run = split_setup(job.get("before_script", []) + job["script"], SETUP)
    names = [it["name"] for it in services if it["alias"] != "docker"]
    settings = file.get("variables", {})
    has_key = job.get("environment", {}) == KEY
    read = Job(
        run=run,
        needs=[name for name, _ in map(read_need, job.get("needs", earlier))],
        services=[without_digest(name) for name in names],
        variables=read_variables(
            job.get("variables", {}), services, None if has_key else IMAGE
        ),
        may_fail=rule.get("allow_failure") == "true" and not is_optional(rule),
        has_timeout="timeout" in job,
        is_cached=job.get("cache") == CACHE,
        tools=read_tools(job, begun),
        write_permissions=WRITES.get(run[-1], []),
        logs_in=bool({"registry", "key"} & {*begun}),
        concurrency_group=job.get("resource_group", ""),
        main_only=rule.get("if", "").endswith(MAIN),
        manual=rule.get("when") == "manual" and not is_optional(rule),
        # GitLab lets a person set any variable, and each older pipeline keeps its job.
        inputs=["release", "older"] if is_optional(rule) else [],
        knows_base=BASE.items() <= job.get("variables", {}).items(),
        # GitLab fetches the branch as well as the commit. 0 is the whole history.
        knows_order="make deploy" in run
        and job.get("variables", {}).get("GIT_DEPTH") in ("100", "0"),
        keeps_credentials=settings.get("FF_GIT_URLS_WITHOUT_TOKENS") != "true",
        unrecognised=unknown(job, JOB_KEYS) + unknown_rule(rule),
    )
    read_environment(job, read)
    read_freeze(job, begun, read)
    if "registry" in begun or PULL.items() <= job.get("variables", {}).items():
        read.secrets.append("registry")
    if "key" in begun and not read.secrets:
        read.unrecognised.append("a login without a key")
    if read.concurrency_group and job.get("interruptible") != "false":
        read.unrecognised.append("a deployment that can be cancelled")
    if job.get("cache") not in (CACHE, []):
        read.unrecognised.append(job.get("cache"))
    for service in services:
        read.unrecognised += unknown(service, {"name", "alias"})
    read_artifacts(job, file, read)
    read_download(job, begun, file, read)
    return read


def read_variables(variables, services, repository):
    """Return the variables of a job that a make target reads.

    `repository` is GitLab's name for the images, if the job pushes there.
    """
    listening = {
        (service["alias"], PORTS[image]): image
        for service in services
        if (image := without_digest(service["name"])) in PORTS
    }
    kept = {
        name: value
        for name, value in variables.items()
        if name not in OWN_VARIABLES and (PULL | BASE).get(name) != value
    }
    # The services get the job's variables, so their password is the job's.
    password = variables.get("POSTGRES_PASSWORD")
    return resolve_addresses(kept, listening, password, repository)


def unknown_rule(rule):
    """Return a list with what a reader does not know of a rule, if anything."""
    found = unknown(rule, {"if", "allow_failure", "when"})
    is_known = rule.get("when", "manual") == "manual" and rule.get("if") in HOLDS
    return found if is_known else [*found, rule]


def read_environment(job, read):
    """Read the environment of a job, whose secrets it gets."""
    if environment := job.get("environment"):
        whole = environment if isinstance(environment, dict) else {"name": environment}
        read.secrets.append(whole["name"])
        read.unrecognised += unknown(whole, {"name", "url", "action"})
        deploys = "make deploy" in read.run
        if whole == KEY:
            read.variables = KEY_VARIABLES | read.variables
        elif (whole, read.run[-1]) in OWN:
            pass
        elif whole.get("action") != (None if deploys else "prepare"):
            read.unrecognised.append(whole)


def read_freeze(job, begun, read):
    """Read what a deploy freeze does: it holds every deployment, and nothing else."""
    is_held = job.get("rules", [])[:1] == [HELD], "freeze" in begun
    deploys = "make deploy" in read.run
    environment = "".join(read.secrets) if deploys else ""
    if is_held != HOLDS_FREEZE.get(environment, (False, False)):
        read.unrecognised.append("a deployment during a freeze, or a held rollback")


def read_need(need):
    """Return the name of a job that another one needs, and whether its files come along."""
    if isinstance(need, dict) and need == {
        "job": need.get("job"),
        "artifacts": "false",
    }:
        return need["job"], False
    return str(need), True


def read_artifacts(job, file, read):
    """Read the artifacts of a job, and those of the jobs that it needs."""
    names = [
        name for name, gets_files in map(read_need, job.get("needs", [])) if gets_files
    ]
    needed = [file.get(name, {}).get("artifacts") for name in names]
    read.consumes = [name for name, kept in DIGESTS.items() if kept in needed]
    if read.consumes and any(it for it in needed if it not in DIGESTS.values()):
        read.unrecognised.append("files of a job that could replace the digest")
    artifacts = dict(job.get("artifacts", {}))
    if read.concurrency_group and artifacts.pop("reports", None) != OUTCOME:
        read.unrecognised.append("a failure that the run does not show")
    if artifacts:
        is_whole = artifacts == REPORTS and "coverage" in job
        if "make e2e" in read.run:
            is_whole = is_whole or artifacts == E2E_REPORTS
        read.publishes.append(name_of("reports" if is_whole else artifacts, DIGESTS))


def read_download(job, begun, file, read):
    """Read the update that a job downloads: the artifacts could also set its variables."""
    if "template" in read.consumes:
        read.unrecognised.append("an update with variables and files of new packages")
    if "download" in begun:
        names = [name for name, _ in map(read_need, job.get("needs", []))]
        kept = [file.get(name, {}).get("artifacts") for name in names]
        read.consumes += ["template"] * (DIGESTS["template"] in kept)


def read_tools(job, begun):
    """Return what a job works with. Docker is a client and a server, which share keys."""
    if PINNED_UV.fullmatch(job["image"]):
        return ["uv"]
    for name in ("node", "python"):
        if is_pinned(job["image"], name):
            return [name]
    if is_pinned(job["image"], "docker") and begun[:1] == ["python"]:
        return ["docker"]
    servers = [it["name"] for it in job.get("services", []) if it["alias"] == "docker"]
    is_docker = all(is_pinned(image, "docker") for image in (job["image"], *servers))
    is_safe = job.get("variables", {}).get("DOCKER_TLS_CERTDIR") == "/certs"
    if not (is_docker and is_safe and servers and begun[:1] == ["make"]):
        return [job["image"]]
    return ["docker"] + ["builder"] * (begun[1:3] == ["context", "builder"])


def images(files):
    """Return every image that the jobs run or start."""
    found = []
    for job in files[FILE].values():
        if isinstance(job, dict):
            found += [job["image"]] if "image" in job else []
            found += [service["name"] for service in job.get("services", [])]
            found += re.findall(r"image=(\S+)", str(job.get("script")))
    return found
