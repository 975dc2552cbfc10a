"""The definition of the pipeline, for every provider, and what the readers share.

A reader keeps whatever it does not know in `Job.unrecognised`, so that it sees every key.
"""

import re
from dataclasses import asdict, dataclass, field, replace
from urllib.parse import urlsplit

from tests.deployment.platforms import platform_of

POSTGRES, REDIS = "postgres:18", "redis:8.10.2"
PORTS = {POSTGRES: 5432, REDIS: 6379}  # where the images listen
PINNED_IMAGE = re.compile(r"[a-z./-]+:v?[\d.]+(-[a-z]+)*@sha256:[0-9a-f]{64}")
# The one image without a digest, for jobs without secrets: its tag has full versions.
PINNED_UV = re.compile(r"ghcr\.io/astral-sh/uv:\d+\.\d+\.\d+-python3\.\d\d-[a-z]+")
# Where a job leaves the digest of an image for the next one: staging gets the published
# image, and production the one that staging got. An update of the template is a commit there.
PROMOTED = {"image": "reports/image.json", "staging": "reports/staging.json"}
PROMOTED |= {"template": "reports"}
# The providers that separate the caches of branches, whatever the file of a branch says
SEPARATES_CACHES = ["github", "gitlab"]


@dataclass(kw_only=True)
class Job:
    """What one job of a pipeline does, and what it may do."""

    run: list
    needs: list = field(default_factory=list)
    services: list = field(default_factory=list)  # their images, without the digest
    # An address is replaced by the service at that address.
    variables: dict = field(default_factory=dict)
    may_fail: bool = False
    has_timeout: bool = True
    # It begins with the packages that an earlier run downloaded: on main, one of main only.
    is_cached: bool = True
    # its programs: uv, or Docker, which may have a pinned builder
    tools: list = field(default_factory=lambda: ["uv"])
    publishes: list = field(default_factory=list)
    consumes: list = field(default_factory=list)  # what another job has published
    write_permissions: list = field(default_factory=list)
    keeps_credentials: bool = False
    # Its clone has the commits that a change is compared with, and make knows them.
    knows_base: bool = False
    # Its clone shows whether the running commit, which may be newer, comes after its own.
    knows_order: bool = False
    # What it can read: an environment, or "registry": the key that pushes the image, or the
    # token of a job that pulls it. Other keys that pull are those of an environment.
    # "e2e" is the header that lets the tests in a browser into staging, "template" the
    # token that opens a request with an update of the template.
    secrets: list = field(default_factory=list)
    logs_in: bool = False  # Docker logs in to the registry of the image.
    concurrency_group: str = ""  # One job of a group runs at a time; the others wait.
    manual: bool = False  # It waits for an approval.
    # What a person can set: the release to roll back, and an older commit to check out,
    # in case the newest one broke deploy/.
    inputs: list = field(default_factory=list)
    main_only: bool = False  # It refuses any other branch.
    unrecognised: list = field(default_factory=list)  # everything else in the file


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
        run=["make wait", "make check", "make check-migrations", "make test"],
        needs=["lint"],
        knows_base=True,
        **WITH_SERVICES,
    ),
}
# Staging still runs the commit that was tested.
SMOKE = "make smoke RELEASE=HEAD"
E2E = Job(run=["make browser", "make wait", "make e2e"], **WITH_SERVICES)
AUDIT = {"audit": Job(run=["make audit"], may_fail=True)}
# A job has its permissions, so the job that pushes is not the one of a pull request.
BUILD = Job(run=["make image"], needs=["test"], tools=["docker"], is_cached=False)
PUBLISH = replace(
    BUILD,
    run=["make publish"],
    tools=["docker", "builder"],
    variables={"IMAGE": "the registry's"},
    publishes=["image"],
    write_permissions=["packages"],
    secrets=["registry"],
    logs_in=True,
    main_only=True,
)


def deployment(target, environment, **options):
    """Return a job that deploys to an environment, or rolls it back."""
    return Job(
        run=["make tools", f"make {target}"],
        variables={"ENVIRONMENT": environment},
        is_cached=False,
        secrets=[environment],
        concurrency_group=environment,
        main_only=True,
        **options,
    )


DEPLOYMENT = {
    "deploy-staging": deployment(
        *("deploy", "staging"),
        needs=["publish", "audit"],
        consumes=["image"],
        publishes=["staging"],
        knows_order=True,
    ),
    "e2e-staging": replace(
        E2E,
        run=["make browser", "make e2e", SMOKE],
        needs=["deploy-staging"],
        services=[],
        variables={"URL": "https://staging.my-project.example.com"},
        is_cached=False,
        tools=["python"],
        secrets=["e2e"],
        main_only=True,
    ),
    "deploy-production": deployment(
        *("deploy", "production"),
        needs=["deploy-staging", "e2e-staging"],
        consumes=["staging"],
        manual=True,
        knows_order=True,
    ),
}
ROLLBACK = {
    f"rollback-{environment}": deployment(
        *("rollback", environment), inputs=["release", "older"]
    )
    for environment in ("staging", "production")
}
TEMPLATE = {
    "template-update": Job(
        run=["make template-bundle"], publishes=["template"], is_cached=False
    ),
    "template-request": Job(
        run=["make template-request"],
        needs=["template-update"],
        consumes=["template"],
        is_cached=False,
        tools=["python"],
        write_permissions=["contents", "pull-requests"],
        secrets=["template"],
        main_only=True,
    ),
}
# The jobs of each workflow, with every option on. A change is first a pull request, and
# then a push to main; a person starts a rollback.
PIPELINE = {
    "request": GATES | {"build": BUILD} | AUDIT,
    "main": GATES | {"publish": PUBLISH} | AUDIT | DEPLOYMENT,
    "rollback": ROLLBACK,
    "nightly": {
        "audit": Job(run=["make audit"]),
        "newest": Job(
            run=["make wait", "make newest"],
            is_cached=False,
            **WITH_SERVICES,
        ),
        "e2e": E2E,
        **TEMPLATE,
    },
}


def expected(
    *,
    use_redis=False,
    use_celery=False,
    use_channels=False,
    use_docker=False,
    use_e2e=False,
    template_updates="none",
    deploy_target="none",
    dependency_audit="report",
    ci_provider="github",
    image_registry="provider",
    **_,
):
    """Return the pipeline of a project with these answers."""
    roles = {"REDIS"} if use_redis else set()
    roles |= {"CELERY"} if use_redis and use_celery else set()
    roles |= {"CHANNEL"} if use_redis and use_channels else set()
    platform = platform_of(deploy_target=deploy_target, use_docker=use_docker)
    promotes = bool(platform) and platform.runs_image

    def adapt(job, workflow):
        if ci_provider not in SEPARATES_CACHES and workflow != "request":
            job = replace(job, is_cached=False)
        if job.concurrency_group:
            job = adapt_deployment(job, ci_provider, platform, image_registry)
        if "make deploy" in job.run and not job.manual:
            needs = ["publish" if promotes else "test"]
            needs += ["audit"] * (dependency_audit == "enforce")
            job = replace(job, needs=needs)
        if not use_e2e:
            job = replace(job, needs=[it for it in job.needs if it != "e2e-staging"])
        if ci_provider == "github" and {"e2e", "template"} & {*job.secrets}:
            job = replace(job, tools=["docker"])  # Each of its runners has every tool.
        job = replace(job, may_fail=job.may_fail and dependency_audit == "report")
        return adapt_services(job, roles)

    return {
        workflow: {
            name: adapt(job, workflow)
            for name, job in jobs.items()
            if is_chosen(job, use_docker, use_e2e, platform)
            and (template_updates == "job" or name not in TEMPLATE)
        }
        for workflow, jobs in PIPELINE.items()
    }


def is_chosen(job, use_docker, use_e2e, platform):
    """Return whether a project with these answers has a job."""
    if "make e2e" in job.run and not use_e2e:
        return False
    if job.concurrency_group or "e2e" in job.secrets:
        return bool(platform)
    return use_docker or "docker" not in job.tools


def adapt_deployment(job, provider, platform, registry):
    """Return a deployment job as it is for a provider, a platform and a registry."""
    # Each of GitHub's runners has every tool.
    tools = ["docker"] if provider == "github" else platform.job_tools
    job = replace(job, tools=tools)
    if "make deploy" in job.run:
        job = replace(job, logs_in=platform.docker_login)
        # The other provider has no registry, and so no token for one.
        has_token = registry == "provider" and provider in ("github", "gitlab")
        if platform.pulls_image and has_token:
            job = replace(job, secrets=[*job.secrets, "registry"])
    return job if platform.runs_image else replace(job, consumes=[], publishes=[])


def adapt_services(job, roles):
    """Return a job with the services and variables of these roles of Redis."""
    absent = {"REDIS", "CELERY", "CHANNEL"} - roles
    return replace(
        job,
        services=[it for it in job.services if it != REDIS or "REDIS" in roles],
        variables={
            name: value
            for name, value in job.variables.items()
            if name.partition("_")[0] not in absent
        },
    )


def differences(pipeline, other):
    """Return a line for each attribute in which the jobs of two pipelines differ."""
    left, right = attributes(pipeline), attributes(other)
    return [
        f"{name}: {left.get(name)}, not {right.get(name)}"
        for name in left | right
        if left.get(name) != right.get(name)
    ]


def attributes(pipeline):
    """Return the value of each attribute of each job, by workflow, job and attribute."""
    return {
        f"{workflow}, {name}, {attribute}": value
        for workflow, jobs in pipeline.items()
        for name, job in jobs.items()
        for attribute, value in asdict(job).items()
    }


def without_digest(image):
    return image.partition("@")[0]


def privileged(jobs):
    """Return the jobs that have a secret, a write permission, a login or a builder."""
    return [
        name
        for name, job in jobs.items()
        if job.secrets or job.write_permissions or "builder" in job.tools
    ]


def resolve_addresses(variables, listening, password, image=None):
    """Return variables with each address replaced by the service at that address.

    `listening` names the service at each pair of a host and a port. `image` is the
    provider's name for the repository of the project's images.
    """
    resolved = {}
    for name, value in variables.items():
        if name == "POSTGRES_HOST":  # The settings have its port.
            resolved[name] = listening.get((value, PORTS[POSTGRES]), value)
        elif name == "POSTGRES_PASSWORD" and value == password:
            resolved[name] = "the service's"
        elif name == "IMAGE" and value == image:
            resolved[name] = "the registry's"
        elif value.startswith("redis://"):
            url = urlsplit(value)
            resolved[name] = (
                f"{listening.get((url.hostname, url.port), value)}{url.path}"
            )
        else:
            resolved[name] = value
    return resolved


def is_pinned(image, name):
    """Return whether an image is the named one, by a full version and a digest."""
    return bool(PINNED_IMAGE.fullmatch(image)) and image.startswith(f"{name}:")


def split_setup(commands, known):
    """Return the names of the known commands that a job begins with, and the others.

    `known` maps a pattern to a name. A group in a pattern is an image of BuildKit.
    """
    names = []
    for command in commands:
        found = [name for form, name in known.items() if matches(form, command)]
        if not found:
            break
        names += found[:1]
    return names, commands[len(names) :]


def matches(form, command):
    found = re.fullmatch(form, command)
    return bool(found) and all(is_pinned(it, "moby/buildkit") for it in found.groups())


def name_of(value, known):
    """Return the name of a known value, or the value itself."""
    return next((name for name, it in known.items() if it == value), value)


def unknown(mapping, known):
    """Return a list with the keys of a mapping that a reader does not know, if any."""
    rest = {key: value for key, value in mapping.items() if key not in known}
    return [rest] if rest else []
