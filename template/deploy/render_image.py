"""What Render runs with Docker: the image of the release, by its digest."""

import image

OPTION = "--image"
BUILD_FAILED = "Render did not get the image from its registry"

check = image.check_image
hand_on = image.hand_on


def find(release):
    """Return what a service is to run."""
    return "@".join(image.find_image())


def find_in(deploy):
    """Return what a deploy runs."""
    return deploy["image"]["ref"]


def can_run(service):
    """What was made to build commits runs no image."""
    return bool(service.get("imagePath"))
