"""Independent tools that judge files of generated projects, as functions that return findings.

Each takes any number of files; an empty list means that the tool finds nothing.
"""

from tests.graders import circleci, github, gitlab

# The files of each provider's pipeline, as a pattern, and the tools that judge them.
PIPELINE_FILES = {
    "github": ".github/workflows/*.yml",
    "gitlab": ".gitlab-ci.yml",
    "circleci": ".circleci/config.yml",
}
GRADERS = {
    "github": [
        github.actionlint,
        github.zizmor,
        github.workflow_parser,
        github.github_schema,
    ],
    "gitlab": [gitlab.gitlab_schema, gitlab.gitlab_ci_local, gitlab.gitlab_shellcheck],
    "circleci": [
        circleci.circleci_schema,
        circleci.circleci_names,
        circleci.circleci_shellcheck,
    ],
}
