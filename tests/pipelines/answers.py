"""The answers with which the tests of pipelines render projects."""

import functools
from dataclasses import asdict

import pytest

from tests.pipelines.model import expected
from tests.pipelines.readers import READERS, github, read
from tests.support.contents import check_each
from tests.support.options import (
    ENFORCING,
    EVERY_COMBINATION,
    FULL,
    OTHER_REGISTRY,
    choices,
)

PROVIDERS = choices("ci_provider")
TARGETS = choices("deploy_target")
COMBINATIONS = EVERY_COMBINATION | ENFORCING | OTHER_REGISTRY
KEYS = {"image_registry": "other"}
EVERY_OPTION = FULL | {
    "use_docker": True,
    "use_e2e": True,
    "template_updates": "job",
    "deploy_target": "kubernetes",
}
of_every_provider = pytest.mark.parametrize("provider", PROVIDERS)


@functools.cache
def pipeline_of(name, project):
    """Return the pipeline of the project of a combination."""
    return read(COMBINATIONS[name]["ci_provider"], project)


@functools.cache
def expected_of(name):
    """Return the pipeline that the project of a combination should have."""
    return expected(**COMBINATIONS[name])


def check_pipelines(projects, check, code, *others):
    """Run a check once for all combinations with one pipeline, and the same other files.

    `check` gets the name of a combination and its project, and raises AssertionError.
    """

    def key(name, project):
        files = [*READERS[COMBINATIONS[name]["ci_provider"]].FILES, github.ROLLBACK]
        return {
            "files": [
                project.tree[it][0] for it in (*files, *others) if project.has(it)
            ],
            "pipeline": {
                workflow: {job: asdict(it) for job, it in jobs.items()}
                for workflow, jobs in expected_of(name).items()
            },
            "deploys": COMBINATIONS[name]["deploy_target"] != "none",
            "use_docker": COMBINATIONS[name]["use_docker"],
        }

    check_each(projects, key, check, code)
