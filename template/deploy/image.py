"""Which image to deliver."""

import json
import os
import re
from pathlib import Path

from commands import Refused

IMAGE = re.compile(r"(?P<name>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")
PUBLISHED = Path("reports", "image.json")  # what `make publish` leaves


def find_image():
    """Return the name and the digest of $IMAGE, or of what was published here last."""
    text = os.environ.get("IMAGE")
    if not text and PUBLISHED.exists():
        published = json.loads(PUBLISHED.read_text())
        # A registry may have a port: what stands behind the last colon is the tag.
        name = published["image.name"].rpartition(":")[0]
        text = f"{name}@{published['containerimage.digest']}"
    found = IMAGE.fullmatch(text or "")
    if not found:
        raise Refused("Set IMAGE to an image with its digest: name@sha256:0123….")
    return found["name"], found["digest"]
