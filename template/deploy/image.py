"""Which image to deliver."""

import json
import os
import re
from pathlib import Path

from commands import Refused

IMAGE = re.compile(r"(?P<name>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")
PUBLISHED = Path("reports", "image.json")  # what `make publish` leaves


def check_image(environment, release, history):
    """Let production take only the very image that staging runs, by the target's history."""
    _, digest = find_image(release)
    after = environment.settings["after"]
    if after:
        ran = history(environment._replace(settings=after))
        if not ran or not ran[0][1].endswith(digest):
            raise Refused(
                f"{environment.name} takes the image that {after['url']} runs, "
                f"and that is not {digest}."
            )


def find_image(release=None):
    """Return the name and the digest of $IMAGE, or of what was published here last."""
    text = os.environ.get("IMAGE")
    if not text and PUBLISHED.exists():
        published = json.loads(PUBLISHED.read_text())
        # A registry may have a port: what stands behind the last colon is the tag.
        name, _, tag = published["image.name"].rpartition(":")
        if release and tag != release:
            raise Refused(f"Set IMAGE: {PUBLISHED} is of {tag}, not of {release}.")
        text = f"{name}@{published['containerimage.digest']}"
    found = IMAGE.fullmatch(text or "")
    if not found:
        raise Refused("Set IMAGE to an image with its digest: name@sha256:0123….")
    return found["name"], found["digest"]
