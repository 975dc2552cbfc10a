"""Graders of GitHub's workflow files."""

import json
import os
from pathlib import Path

from tests.graders.tools import TOOLS, lines, run, schema
from tests.support.node import NODE, node_modules

WORKFLOW_PARSER = [
    "@actions/workflow-parser@0.3.61",
    "@actions/expressions@0.3.61",
    "cronstrue@2.61.0",
    "yaml@2.9.1",
]
SCRIPT = Path(__file__).with_name("workflow_parser.mjs")


def actionlint(*paths):
    """Find errors of syntax, expressions and contexts, and shellcheck's in every script."""
    options = ["-oneline", "-no-color", "-config-file", os.devnull, "-pyflakes="]
    shellcheck = f"-shellcheck={TOOLS / 'shellcheck'}"
    return lines(run("actionlint", *options, shellcheck, *paths))


def zizmor(*paths):
    """Return the findings of zizmor's strictest persona; no comment or file suppresses any."""
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


def workflow_parser(*paths):
    """Return what GitHub's own parser refuses, also in expressions and the graph of jobs."""
    return lines(run(NODE, SCRIPT, node_modules(*WORKFLOW_PARSER), *paths))


def github_schema(*paths):
    """Return where the files break SchemaStore's schema of GitHub workflows."""
    return schema("vendor.github-workflows", *paths)
