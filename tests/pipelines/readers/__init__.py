"""The reader of each provider's pipeline files, by the answer to `ci_provider`."""

from tests.pipelines.readers import circleci, github, gitlab

READERS = {"github": github, "gitlab": gitlab, "circleci": circleci}
