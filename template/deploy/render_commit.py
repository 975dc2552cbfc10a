"""Without Docker, Render builds the commit for each service."""

OPTION = "--commit"
BUILD_FAILED = "the build failed"


def check(environment, release, history):
    """Accept any commit: staging and production each build it."""


def record_promotion(environment, release):
    """Record nothing: production builds the commit again."""


def find_release(release):
    """Return the artifact of a release."""
    return release


def read_deploy(deploy):
    """Return the artifact of a deploy."""
    return deploy["commit"]["id"]


def can_run(service):
    """Return whether a service was created to build commits."""
    return not service.get("imagePath")
