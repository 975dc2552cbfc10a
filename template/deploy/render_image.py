"""With Docker, Render runs the image of the release by its digest."""

import image

OPTION = "--image"
BUILD_FAILED = "Render could not pull the image from its registry"

check = image.check_image
record_promotion = image.record_promotion


def find_release(release):
    """Return the artifact of a release."""
    return "@".join(image.find_image())


def read_deploy(deploy):
    """Return the artifact of a deploy."""
    return deploy["image"]["ref"]


def can_run(service):
    """Return whether a service was created to run an image."""
    return bool(service.get("imagePath"))
