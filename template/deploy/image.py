"""Select the image: staging gets the published one, production the one of staging."""

import json
import os
import re
from pathlib import Path

from commands import Refused

IMAGE = re.compile(r"(?P<name>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})")
# `make publish` writes image.json here; a deployment writes a file in the same format.
REPORTS = Path("reports")


def check_image(environment, release, history=None):
    """Set $IMAGE to the image of a release, unless it is set; raise Refused if it is wrong.

    Production gets the image that staging runs. In a pipeline, production's keys cannot
    read staging, so `history` is called only for an image that no report names.
    """
    after = environment.after
    path = REPORTS / f"{after.name if after else 'image'}.json"
    image, tag = read_report(path)
    if not os.environ.get("IMAGE"):
        if tag not in ("", release):
            raise Refused(
                f"Set IMAGE: {path} has the image of {tag}, not of {release}."
            )
        os.environ["IMAGE"] = image
    _, digest = find_image()
    # The image that the previous environment runs, if a record has it.
    expected = image if tag == release else ""
    if after and history and not expected.endswith(digest):
        expected = next((artifact for _, artifact in history(after)), "none")
    if after and expected and not expected.endswith(digest):
        raise Refused(
            f"Refusing to deploy {digest} to {environment.name}: "
            f"{after.name} does not run this image. Set IMAGE to the one that it runs."
        )
    # Drop the promotion record of the previous deployment.
    (REPORTS / f"{environment.name}.json").unlink(missing_ok=True)


def find_image():
    """Return the name and the digest of $IMAGE; raise Refused if it has no digest."""
    found = IMAGE.fullmatch(os.environ["IMAGE"])
    if not found:
        raise Refused("Set IMAGE to an image with its digest: name@sha256:0123….")
    return found["name"], found["digest"]


def record_promotion(environment, release):
    """Record the image for the environment that comes after this one."""
    name, digest = find_image()
    report = {"image.name": f"{name}:{release}", "containerimage.digest": digest}
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{environment.name}.json").write_text(json.dumps(report))


def read_report(path):
    """Return the image of a report by its digest, and its tag, which is a commit.

    Both are empty if there is no report.
    """
    if not path.exists():
        return "", ""
    try:
        report = json.loads(path.read_text())
        # A registry may have a port, so the tag follows the last colon.
        name, _, tag = report["image.name"].rpartition(":")
        return f"{name}@{report['containerimage.digest']}", tag
    except (ValueError, KeyError) as error:
        raise Refused(f"{path} does not name an image: delete it.") from error
