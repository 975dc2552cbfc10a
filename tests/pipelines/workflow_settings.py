"""The expected content of each provider's files around the jobs.

It is when workflows run, and the defaults of their jobs. A newer push cancels the run of
a pull request, and never a run of main.
"""

from tests.pipelines.readers import github, gitlab


def expected_settings(ci_provider, use_docker=False, deploy_target="none"):
    """Return everything around the jobs of a project with these answers."""
    deploys = deploy_target != "none"
    if ci_provider == "github":
        return GITHUB | (GITHUB_ROLLBACK if deploys else {})
    if ci_provider == "gitlab":
        return GITLAB | {"stages": gitlab_stages(use_docker, deploys)}
    return circleci_settings(deploys)


RELEASE = "Commit to roll back (by default the newest of main)"
OLDER = "Use deploy/ of this many commits before, if the newest one broke it"
GITHUB = {
    github.CHANGE: {
        "name": "CI",
        "on": {"push": {"branches": ["main"]}, "pull_request": "", "merge_group": ""},
        "permissions": {},
        "concurrency": {
            "group": "ci-${{ github.event.pull_request.number || github.run_id }}",
            "cancel-in-progress": "true",
        },
    },
    github.NIGHTLY: {
        "name": "Nightly",
        "on": {"schedule": [{"cron": "23 3 * * *"}], "workflow_dispatch": ""},
        "permissions": {},
        "concurrency": {"group": "nightly", "cancel-in-progress": "false"},
    },
}
GITHUB_ROLLBACK = {
    github.ROLLBACK: {
        "name": "Rollback",
        "on": {
            "workflow_dispatch": {
                "inputs": {
                    "environment": {
                        "description": "Environment to roll back",
                        "type": "choice",
                        "options": ["staging", "production"],
                        "required": "true",
                    },
                    "release": {"description": RELEASE},
                    "older": {"description": OLDER, "type": "number", "default": "0"},
                }
            }
        },
        "permissions": {},
    }
}
GITLAB = {
    "workflow": {
        "rules": [
            {
                "if": '$CI_PIPELINE_SOURCE == "merge_request_event"',
                "auto_cancel": {"on_new_commit": "interruptible"},
            },
            {
                "if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
                "auto_cancel": {"on_new_commit": "none"},
            },
        ]
    },
    "default": {
        "image": "ghcr.io/astral-sh/uv:0.13.0-python3.13-trixie",
        "timeout": "20 minutes",
        "interruptible": "true",
        "cache": gitlab.CACHE,
    },
    "variables": {
        "FF_GIT_URLS_WITHOUT_TOKENS": "true",
        "UV_CACHE_DIR": "$CI_PROJECT_DIR/.cache/uv",
    },
}


def gitlab_stages(use_docker, deploys):
    stages = ["lint", "test", *["image"] * use_docker, "audit"]
    return stages + ["staging", "production"] * deploys


def circleci_settings(deploys):
    """Return the version and the parameters: CircleCI's project settings have the rest."""
    run = {
        "description": "Workflow to run. Set by the nightly schedule.",
        "type": "enum",
        "enum": ["ci", "nightly"],
        "default": "ci",
    }
    if deploys:
        run["description"] = run["description"][:-1] + ", or manually to roll back."
        run["enum"] = [*run["enum"], "rollback-staging", "rollback-production"]
    parameters = {"run": run} | (CIRCLECI_ROLLBACK if deploys else {})
    return {"version": "2.1", "parameters": parameters}


CIRCLECI_ROLLBACK = {
    "release": {"description": RELEASE, "type": "string", "default": ""},
    "older": {"description": OLDER, "type": "integer", "default": "0"},
}
