"""Which image to deliver: to staging what was published, to production what staging got."""

import json
import os
import re
from pathlib import Path

from commands import Refused

IMAGE = re.compile(r"(?P<name>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")
# `make publish` leaves image.json here, and a delivery a file of that form.
REPORTS = Path("reports")


def check_image(environment, release, history=None):
    """Set $IMAGE to the image of a release, unless somebody did.

    Production takes the very image that staging got. The pipeline's keys of production
    do not open staging, so its platform is asked only about an image from elsewhere.
    """
    after = environment.after
    path = REPORTS / f"{after.name if after else 'image'}.json"
    image, tag = read_report(path)
    if not os.environ.get("IMAGE"):
        if tag not in ("", release):
            raise Refused(f"Set IMAGE: {path} is of {tag}, not of {release}.")
        os.environ["IMAGE"] = image
    _, digest = find_image()
    # What runs in the environment before this one, as far as it is known.
    runs = image if tag == release else ""
    if after and history and not runs.endswith(digest):
        runs = next((artifact for _, artifact in history(after)), "none")
    if after and runs and not runs.endswith(digest):
        raise Refused(
            f"{environment.name} takes the image that {after.url} runs, "
            f"and that is not {digest}."
        )
    # What an earlier delivery has handed on is not what runs from now on.
    (REPORTS / f"{environment.name}.json").unlink(missing_ok=True)


def find_image():
    """Return the name and the digest of $IMAGE."""
    found = IMAGE.fullmatch(os.environ["IMAGE"])
    if not found:
        raise Refused("Set IMAGE to an image with its digest: name@sha256:0123….")
    return found["name"], found["digest"]


def hand_on(environment, release):
    """Leave the image to the environment that comes after this one."""
    name, digest = find_image()
    report = {"image.name": f"{name}:{release}", "containerimage.digest": digest}
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{environment.name}.json").write_text(json.dumps(report))


def read_report(path):
    """Return an image by its digest, and its tag, which is a commit, if there is one."""
    if not path.exists():
        return "", ""
    try:
        report = json.loads(path.read_text())
        # A registry may have a port: what stands behind the last colon is the tag.
        name, _, tag = report["image.name"].rpartition(":")
        return f"{name}@{report['containerimage.digest']}", tag
    except (ValueError, KeyError) as error:
        raise Refused(f"{path} names no image: delete it.") from error
