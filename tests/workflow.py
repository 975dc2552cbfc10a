"""Read a GitHub workflow as the plain shape that the tests compare.

The shape keeps whatever this reader does not know, so that no key goes unseen.
"""

import re
from dataclasses import dataclass, field

WORKFLOW = ".github/workflows/ci.yml"
JOB_KEYS = {"name", "runs-on", "timeout-minutes", "needs", "permissions", "services"}
JOB_KEYS |= {"env", "steps", "continue-on-error"}
STEP_KEYS = {"name", "uses", "with", "run"}
SECRET = re.compile(r"\bsecrets\b[.\w]*|\bgithub\.token\b")
USES = re.compile(r"\buses: *(.*)")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


@dataclass(kw_only=True)
class Job:
    """What one job of a pipeline does, and what it may do."""

    run: list
    uses: list = field(
        default_factory=lambda: ["actions/checkout", "astral-sh/setup-uv"]
    )
    needs: list = field(default_factory=list)
    services: dict = field(default_factory=dict)  # their ports, by name
    permissions: dict = field(default_factory=lambda: {"contents": "read"})
    secrets: list = field(default_factory=list)
    has_timeout: bool = True
    may_fail: bool = False
    keeps_credentials: bool = False
    more: list = field(default_factory=list)  # other keys, of the job or a named step


def read_jobs(workflow):
    """Return each job of a parsed workflow."""
    return {name: read_job(job) for name, job in workflow["jobs"].items()}


def read_job(job):
    steps = job["steps"]
    needs = job.get("needs", [])
    return Job(
        run=[step["run"] for step in steps if "run" in step],
        uses=[action(step) for step in steps if "uses" in step],
        needs=[needs] if isinstance(needs, str) else needs,
        services={
            name: published_port(service)
            for name, service in job.get("services", {}).items()
        },
        permissions=job.get("permissions"),
        secrets=SECRET.findall(str(job)),
        has_timeout="timeout-minutes" in job,
        may_fail="continue-on-error" in job,
        keeps_credentials=any(
            step.get("with", {}).get("persist-credentials") != "false"
            for step in steps
            if "uses" in step and action(step) == "actions/checkout"
        ),
        more=[
            (mapping.get("name"), unknown)
            for mapping, known in [(job, JOB_KEYS), *((s, STEP_KEYS) for s in steps)]
            if (unknown := {k: v for k, v in mapping.items() if k not in known})
        ],
    )


def action(step):
    return step["uses"].partition("@")[0]


def published_port(service):
    """Return where the only port of a service is to be found on 127.0.0.1."""
    (port,) = service["ports"]
    return int(port.partition(":")[0])


def unpinned(text):
    """Return the actions that a workflow does not pin to a commit, with its version."""
    return [uses for uses in USES.findall(text) if not PINNED.fullmatch(uses)]
