"""The reader of each provider's pipeline files, by the answer to `ci_provider`."""

from tests.pipelines.readers import circleci, github, gitlab

READERS = {"github": github, "gitlab": gitlab, "circleci": circleci}


def parse(provider, project):
    """Return the parsed pipeline files of a project, by name."""
    return READERS[provider].parse(project)


def read(provider, project):
    """Return the jobs of each workflow, as its provider's reader sees them."""
    return READERS[provider].read(parse(provider, project))
