"""The answers with which the tests of pipelines render projects."""

import pytest

from tests.support.options import FULL, choices, combinations

PROVIDERS = choices("ci_provider")
TARGETS = choices("deploy_target")
COMBINATIONS = combinations("ci_provider", "redis", "dependency_audit", "use_docker")
COMBINATIONS |= combinations(
    "ci_provider", "dependency_audit", "use_docker", "deploy_target"
)
EVERY_OPTION = FULL | {"use_docker": True, "deploy_target": "kubernetes"}
in_every_combination = pytest.mark.parametrize(
    "answers", COMBINATIONS.values(), ids=COMBINATIONS
)
of_every_provider = pytest.mark.parametrize("provider", PROVIDERS)
