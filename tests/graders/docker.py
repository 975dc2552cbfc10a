"""Graders of Dockerfiles and Compose files."""

import json
import os

from tests.graders.tools import lines, run, schema
from tests.support.machine import UV

CHECKOV = ["--python", "3.12", "--from", "checkov==3.3.30", "checkov"]


def hadolint(*paths):
    """Return hadolint's findings in Dockerfiles, at its lowest threshold."""
    return lines(run("hadolint", "--no-color", "--config", os.devnull, *paths))


def checkov(*paths):
    """Return the findings of checkov, which runs in its own environment of 100 packages."""
    files = [word for path in paths for word in ("--file", path)]
    options = ["--framework=dockerfile", "--skip-download", "--quiet", "--output=json"]
    result = run(UV, "tool", "run", "--quiet", *CHECKOV, *options, *files)
    if result.returncode not in {0, 1} or not result.stdout:
        return lines(result)
    report = json.loads(result.stdout)
    if report.get("passed") == 0:
        return [f"checkov: nothing was checked in {paths}"]
    return [
        f"{found['file_path']}: {found['check_name']} [{found['check_id']}]"
        for found in report["results"]["failed_checks"]
    ]


def compose_schema(*paths):
    """Return where the files break the Compose specification."""
    return schema("vendor.compose-spec", *paths)
