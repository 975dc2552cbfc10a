"""The reader of each provider's pipeline files, by the answer to `ci_provider`."""

import circleci
import github
import gitlab

READERS = {"github": github, "gitlab": gitlab, "circleci": circleci}
