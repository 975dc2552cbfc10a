"""What Render runs without Docker: the commit, which it builds for each service."""

OPTION = "--commit"
BUILD_FAILED = "the build failed"


def check(environment, release, history):
    """Accept any commit: staging and production build it, each for itself."""


def hand_on(environment, release):
    """Record nothing for production: it builds the commit again."""


def find(release):
    """Return what a service is to run."""
    return release


def find_in(deploy):
    """Return what a deploy runs."""
    return deploy["commit"]["id"]


def can_run(service):
    """What was made to run an image builds no commit."""
    return not service.get("imagePath")
