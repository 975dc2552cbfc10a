"""What the pipeline is, whoever runs it, and how each provider's files are read as that.

A reader keeps whatever it does not know in `Job.more`, so that no key goes unseen.
"""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

POSTGRES, REDIS = "postgres:18", "redis:8.10.2"
PORTS = {POSTGRES: 5432, REDIS: 6379}  # where the images listen
PINNED_IMAGE = re.compile(r"[a-z/-]+:v?[\d.]+(-[a-z]+)?@sha256:[0-9a-f]{64}")
# The images of uv and Node.js: every part of their tags is a full version.
PINNED_UV = re.compile(r"ghcr\.io/astral-sh/uv:\d+\.\d+\.\d+-python3\.\d\d-[a-z]+")
PINNED_NODE = re.compile(r"node:\d+\.\d+\.\d+-[a-z]+")
# Where a job leaves the digest of an image to the next one: what was published is for
# staging, and what staging got for production.
HANDED_ON = {"image": "reports/image.json", "staging": "reports/staging.json"}


@dataclass(kw_only=True)
class Job:
    """What one job of a pipeline does, and what it may do."""

    run: list
    needs: list = field(default_factory=list)
    services: list = field(default_factory=list)  # their images, without the digest
    # The address in a variable is written as the service that it leads to.
    variables: dict = field(default_factory=dict)
    may_fail: bool = False
    has_timeout: bool = True
    is_cached: bool = True  # begins with the packages that an earlier run downloaded
    # What it has beside the code: uv, or Docker, which may have a pinned builder.
    tools: list = field(default_factory=lambda: ["uv"])
    publishes: list = field(default_factory=list)
    takes: list = field(default_factory=list)  # what another job has published
    may_write: list = field(default_factory=list)
    keeps_credentials: bool = False
    # What it may see: "registry", where it logs in to push, or an environment.
    secrets: list = field(default_factory=list)
    lock: str = ""  # Of the jobs with the same one, one runs and the others wait.
    by_person: bool = False  # It waits until somebody lets it run.
    main_only: bool = False  # It refuses any other branch.
    more: list = field(default_factory=list)  # whatever else the file says


WITH_SERVICES = {
    "services": [POSTGRES, REDIS],
    "variables": {
        "POSTGRES_HOST": POSTGRES,
        "POSTGRES_PASSWORD": "the service's",
        "REDIS_URL": f"{REDIS}/0",
        "CELERY_BROKER_URL": f"{REDIS}/1",
        "CELERY_RESULT_BACKEND": f"{REDIS}/2",
        "CHANNEL_LAYER_URL": f"{REDIS}/3",
    },
    "publishes": ["reports"],
}
GATES = {
    "lint": Job(run=["make lint"]),
    "test": Job(
        run=["make wait", "make check", "make migrate", "make test"],
        needs=["lint"],
        **WITH_SERVICES,
    ),
}
AUDIT = {"audit": Job(run=["make audit"], may_fail=True)}
# Permissions are a job's, so that of a request is another than the one that pushes.
BUILD = Job(run=["make image"], needs=["test"], tools=["docker"], is_cached=False)
PUBLISH = replace(
    BUILD,
    run=["make publish"],
    tools=["docker", "builder"],
    variables={"IMAGE": "the registry's"},
    publishes=["image"],
    may_write=["packages"],
    secrets=["registry"],
    main_only=True,
)


def delivery(target, environment, **more):
    """Return a job that delivers to an environment, or goes back there."""
    return Job(
        run=["make tools", f"make {target}"],
        variables={"ENVIRONMENT": environment},
        is_cached=False,
        secrets=[environment],
        lock=environment,
        main_only=True,
        **more,
    )


DELIVERY = {
    "deploy-staging": delivery(
        *("deploy", "staging"),
        needs=["publish", "audit"],
        takes=["image"],
        publishes=["staging"],
    ),
    "deploy-production": delivery(
        *("deploy", "production"),
        needs=["deploy-staging"],
        takes=["staging"],
        by_person=True,
    ),
}
ROLLBACK = {
    f"rollback-{environment}": delivery("rollback", environment)
    for environment in ("staging", "production")
}
# What the command lines of platforms want beside Python, git and make.
PLATFORM_TOOLS = {"heroku": ["node"], "fly": ["docker"]}
# These take the image from the registry themselves: their jobs log in to it, to read.
FROM_REGISTRY = {"fly", "kamal"}
# The definition: the jobs of each workflow, with every option on. A change is first a
# request to merge, and then a push to main; a person starts what goes back.
PIPELINE = {
    "request": GATES | {"build": BUILD} | AUDIT,
    "main": GATES | {"publish": PUBLISH} | AUDIT | DELIVERY,
    "rollback": ROLLBACK,
    "nightly": {
        "audit": Job(run=["make audit"]),
        "newest": Job(
            run=["make wait", "make newest", "make advice"],
            is_cached=False,
            **WITH_SERVICES,
        ),
    },
}


def expected(
    *,
    use_redis=False,
    use_celery=False,
    use_channels=False,
    use_docker=False,
    deploy_target="none",
    dependency_audit="report",
    ci_provider="github",
    **_,
):
    """Return the pipeline of a project with these answers."""
    delivers_image = delivers_an_image(use_docker, deploy_target)
    # Each of GitHub's runners has all of them.
    tools = PLATFORM_TOOLS.get(deploy_target, ["uv"])
    tools = ["docker"] if ci_provider == "github" else tools
    chosen = {
        "REDIS": use_redis,
        "CELERY": use_redis and use_celery,
        "CHANNEL": use_redis and use_channels,
    }

    def adapt(job):
        if job.lock:
            job = replace(job, tools=tools)
        if job.lock and not delivers_image:
            job = replace(job, takes=[], publishes=[])
        if "make deploy" in job.run and deploy_target in FROM_REGISTRY:
            job = replace(job, secrets=[*job.secrets, "registry"])
        if "make deploy" in job.run and not job.by_person:
            begun = ["publish" if delivers_image else "test"]
            job = replace(
                job, needs=begun + ["audit"] * (dependency_audit == "enforce")
            )
        return replace(
            job,
            services=[image for image in job.services if image != REDIS or use_redis],
            variables={
                name: value
                for name, value in job.variables.items()
                if chosen.get(name.partition("_")[0], True)
            },
            may_fail=job.may_fail and dependency_audit == "report",
        )

    return {
        workflow: {
            name: adapt(job)
            for name, job in jobs.items()
            if (deploy_target != "none" if job.lock else is_built(job, use_docker))
        }
        for workflow, jobs in PIPELINE.items()
    }


def delivers_an_image(use_docker, deploy_target):
    """Say whether an environment runs what the pipeline has published."""
    return use_docker and deploy_target not in ("none", "heroku")


def is_built(job, use_docker):
    return use_docker or "docker" not in job.tools


def without_digest(image):
    return image.partition("@")[0]


def lead(variables, listening, password, image=None):
    """Return variables with each address written as the service that listens there.

    `listening` names the service at each pair of a host and a port, `image` what the
    provider calls the place for the project's images.
    """
    led = {}
    for name, value in variables.items():
        if name == "POSTGRES_HOST":  # Its port goes unsaid: the settings know it.
            led[name] = listening.get((value, PORTS[POSTGRES]), value)
        elif name == "POSTGRES_PASSWORD" and value == password:
            led[name] = "the service's"
        elif name == "IMAGE" and value == image:
            led[name] = "the registry's"
        elif value.startswith("redis://"):
            url = urlsplit(value)
            led[name] = f"{listening.get((url.hostname, url.port), value)}{url.path}"
        else:
            led[name] = value
    return led


def is_pinned(image, name):
    """Say whether an image is the named one, by a full version and a digest."""
    return bool(PINNED_IMAGE.fullmatch(image)) and image.startswith(f"{name}:")


def setup(commands, known):
    """Return the names of the known commands that a job begins with, and the others.

    `known` maps an expression to a name. One with a group names an image of BuildKit.
    """
    names, rest = [], list(commands)
    while rest:
        found = next(
            (name for form, name in known.items() if is_form(form, rest[0])), None
        )
        if not found:
            break
        names.append(found)
        del rest[0]
    return names, rest


def is_form(form, command):
    found = re.fullmatch(form, command)
    return bool(found) and all(is_pinned(it, "moby/buildkit") for it in found.groups())


def find(value, known):
    """Return the name of what is known, or else the value as it is."""
    return next((name for name, it in known.items() if it == value), value)


def unknown(mapping, known):
    """Return a list with the keys of a mapping that a reader does not know, if any."""
    rest = {key: value for key, value in mapping.items() if key not in known}
    return [rest] if rest else []
