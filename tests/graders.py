"""Independent tools that judge workflow files, as functions that return findings.

Each takes any number of files and costs one process; an empty list means clean.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from project import clean_environment

TOOLS = Path(sys.executable).parent


def actionlint(*paths):
    """Find errors of syntax, expressions and contexts, and shellcheck's in every script."""
    options = ["-oneline", "-no-color", "-config-file", os.devnull, "-pyflakes="]
    shellcheck = f"-shellcheck={TOOLS / 'shellcheck'}"
    return lines(run("actionlint", *options, shellcheck, *paths))


def zizmor(*paths):
    """Find what zizmor's strictest persona does; no comment or file excuses anything."""
    options = ["--persona=auditor", "--offline", "--no-config", "--no-ignores"]
    options += ["--strict-collection", "--quiet", "--no-progress", "--format=json-v1"]
    result = run("zizmor", *options, *paths)
    if result.returncode not in {0, 10, 11, 12, 13, 14}:  # It judged nothing.
        return lines(result)
    findings = []
    for found in json.loads(result.stdout):
        primary = next(
            place["symbolic"]
            for place in found["locations"]
            if place["symbolic"]["kind"] == "Primary"
        )
        path = primary["key"]["Local"]["verbatim_path"]
        what = f"{found['desc']}: {primary['annotation']} [{found['ident']}]"
        findings.append(f"{path}: {what}")
    return findings


def schema(*paths):
    """Find where the files break SchemaStore's schema of GitHub workflows."""
    options = ["--builtin-schema", "vendor.github-workflows", "--output-format", "json"]
    result = run("check-jsonschema", *options, *paths)
    if result.returncode not in {0, 1} or not result.stdout:
        return lines(result)
    report = json.loads(result.stdout)
    return [
        f"{error['filename']}: {error.get('best_deep_match', error)['message']}"
        for error in report.get("parse_errors", []) + report.get("errors", [])
    ]


GRADERS = [actionlint, zizmor, schema]


def run(tool, *arguments):
    """Run a tool of the test environment, away from what could bend its judgement."""
    return subprocess.run(
        [TOOLS / tool, *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def lines(result):
    """Return what a tool printed; one that fails in silence is a finding as well."""
    if result.returncode == 0:
        return []
    printed = (result.stdout.strip() or result.stderr.strip()).splitlines()
    return printed or [f"{result.args[0]}: exit code {result.returncode}"]
