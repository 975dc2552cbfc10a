"""What the pipeline is, whoever runs it, and how each provider's files are read as that.

A reader keeps whatever it does not know in `Job.more`, so that no key goes unseen.
"""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

POSTGRES, REDIS = "postgres:18", "redis:8.10.2"
PORTS = {POSTGRES: 5432, REDIS: 6379}  # where the images listen
PINNED_IMAGE = re.compile(r"[a-z]+:[\d.]+@sha256:[0-9a-f]{64}")
# The image of uv: every part of its tag is a full version.
PINNED_TOOLS = re.compile(r"ghcr\.io/astral-sh/uv:\d+\.\d+\.\d+-python3\.\d\d-[a-z]+")


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
    publishes: list = field(default_factory=list)
    may_write: bool = False
    keeps_credentials: bool = False
    secrets: list = field(default_factory=list)
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
# The definition: the jobs of each workflow, with every option on.
PIPELINE = {
    "change": {
        "lint": Job(run=["make lint"]),
        "test": Job(
            run=["make wait", "make check", "make migrate", "make test"],
            needs=["lint"],
            **WITH_SERVICES,
        ),
        "audit": Job(run=["make audit"], may_fail=True),
    },
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
    use_redis,
    use_celery=False,
    use_channels=False,
    dependency_audit="report",
    **_,
):
    """Return the pipeline of a project with these answers."""
    chosen = {
        "REDIS": use_redis,
        "CELERY": use_redis and use_celery,
        "CHANNEL": use_redis and use_channels,
    }

    def adapt(job):
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
        workflow: {name: adapt(job) for name, job in jobs.items()}
        for workflow, jobs in PIPELINE.items()
    }


def without_digest(image):
    return image.partition("@")[0]


def lead(variables, listening, password):
    """Return variables with each address written as the service that listens there.

    `listening` names the service at each pair of a host and a port.
    """
    led = {}
    for name, value in variables.items():
        if name == "POSTGRES_HOST":  # Its port goes unsaid: the settings know it.
            led[name] = listening.get((value, PORTS[POSTGRES]), value)
        elif name == "POSTGRES_PASSWORD" and value == password:
            led[name] = "the service's"
        elif value.startswith("redis://"):
            url = urlsplit(value)
            led[name] = f"{listening.get((url.hostname, url.port), value)}{url.path}"
        else:
            led[name] = value
    return led


def unknown(mapping, known):
    """Return a list with the keys of a mapping that a reader does not know, if any."""
    rest = {key: value for key, value in mapping.items() if key not in known}
    return [rest] if rest else []
