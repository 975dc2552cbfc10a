"""Independent tools that judge pipeline files, as functions that return findings.

Each takes any number of files; an empty list means clean.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from tests.support.machine import UV
from tests.support.node import GITLAB_CI_LOCAL, NODE, node_modules
from tests.support.project import clean_environment

TOOLS = Path(sys.executable).parent
WORKFLOW_PARSER = [
    "@actions/workflow-parser@0.3.61",
    "@actions/expressions@0.3.61",
    "cronstrue@2.61.0",
    "yaml@2.9.1",
]


# GitHub ---------------------------------------------------------------


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


def workflow_parser(*paths):
    """Find what GitHub's own parser refuses, in expressions and in the graph of jobs, too."""
    script = Path(__file__).with_name("workflow_parser.mjs")
    return lines(run(NODE, script, node_modules(*WORKFLOW_PARSER), *paths))


def github_schema(*paths):
    """Find where the files break SchemaStore's schema of GitHub workflows."""
    return schema("vendor.github-workflows", *paths)


# GitLab ---------------------------------------------------------------


def gitlab_schema(*paths):
    """Find where the files break GitLab's own schema."""
    return schema("vendor.gitlab-ci", "--data-transform=gitlab-ci", *paths)


# Without a clone around the file, gitlab-ci-local warns; how long it took, it always says.
TIMING = re.compile("(parsing and downloads finished|json schema validated) in ")
CLONE = """
git init --quiet --initial-branch=main
git config user.name Test
git config user.email test@example.com
git commit --quiet --allow-empty --message=Begin
git remote add origin https://gitlab.com/group/project.git
git update-ref refs/remotes/origin/main HEAD
git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main
"""


def gitlab_ci_local(*paths):
    """Find what gitlab-ci-local warns of, and what it cannot expand: a process per file."""
    program = node_modules(GITLAB_CI_LOCAL) / "gitlab-ci-local/dist/index.js"

    def preview(path):
        with tempfile.TemporaryDirectory() as folder:
            # Away from the project, and from the settings of this machine's user.
            place = {"cwd": folder, "HOME": folder}
            made = run("/bin/sh", "-ec", CLONE, **place)
            assert made.returncode == 0, made.stderr
            if path.exists():
                shutil.copy(path, f"{folder}/.gitlab-ci.yml")
            result = run(NODE, program, "--preview", **place)
        warnings, expanded, _ = result.stdout.partition("---\n")
        said = (warnings + result.stderr).splitlines()
        findings = [line for line in said if line.strip() and not TIMING.match(line)]
        if not findings and (result.returncode or not expanded):
            findings = [f"gitlab-ci-local: exit code {result.returncode}"]
        return [f"{path}: {finding}" for finding in findings]

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(preview, paths), [])


def gitlab_shellcheck(*paths):
    """Find what shellcheck does in every script of every job."""

    def scripts(place, node):
        if place[-1] in {"script", "before_script", "after_script"}:
            commands = [node] if isinstance(node, str) else node or []
            yield "\n".join(line for line in commands if isinstance(line, str))

    return shellcheck(scripts, *paths)


# CircleCI -------------------------------------------------------------

PARTS = ["commands", "executors", "jobs"]
PARAMETER = r"(pipeline\.)?\bparameters\.([\w-]+)"
STEPS = ["add_ssh_keys", "attach_workspace", "checkout", "persist_to_workspace"]
STEPS += ["restore_cache", "run", "save_cache", "setup_remote_docker"]
STEPS += ["store_artifacts", "store_test_results", "unless", "when"]


def circleci_schema(*paths):
    """Find where the files break SchemaStore's schema of CircleCI."""
    return schema("vendor.circle-ci", *paths)


def circleci_shellcheck(*paths):
    """Find what shellcheck does in the command of every step."""

    def scripts(place, node):
        if place[-1] == "run":
            command = node.get("command") if isinstance(node, dict) else node
            # CircleCI fills in its expressions before a shell sees them.
            yield re.sub(r"<<[\s\w.-]+>>", "value", str(command))

    return shellcheck(scripts, *paths)


def circleci_names(*paths):
    """Find names that nothing has, and arguments that nothing takes: no schema does."""
    findings = []
    for path, config in documents(paths, findings):
        findings += [f"{path}: {finding}" for finding in misnamed(config)]
    return findings


def misnamed(config):
    """Yield what the parts of a CircleCI file get wrong when they name each other.

    It knows no orb and no job group.
    """
    commands, executors, jobs = (config.get(part) or {} for part in PARTS)
    for place, node in walk(config):
        where = ".".join(map(str, place))
        match place:
            case (*_, "steps", int()) if name(node) in commands:
                takes = commands[name(node)].get("parameters", {})
                for argument in options(node).keys() - takes:
                    yield f"{where}: {name(node)} takes no {argument}"
                for argument in takes.keys() - options(node):
                    if "default" not in takes[argument]:
                        yield f"{where}: {name(node)} wants {argument}"
            case (*_, "steps", int()) if name(node) not in STEPS:
                yield f"{where}: no step is called {name(node)}"
            case ("jobs", _, "executor") if name(node) not in executors:
                yield f"{where}: no executor is called {name(node)}"
            case ("workflows", _, "jobs", int()) if name(node) not in jobs:
                if options(node).get("type") != "approval":
                    yield f"{where}: no job is called {name(node)}"
            case ("workflows", workflow, "jobs", int(), _, "requires", int()):
                others = config["workflows"][workflow]["jobs"]
                names = {options(job).get("name", name(job)) for job in others}
                if name(node) not in names:
                    yield f"{where}: no job of {workflow} is called {name(node)}"
            case (part, owner, *_) if isinstance(node, str):
                scope = config[part][owner] if part in PARTS else {}
                for outer, parameter in re.findall(PARAMETER, node):
                    known = (config if outer else scope).get("parameters", {})
                    if parameter not in known:
                        yield f"{where}: no parameter is called {parameter}"


def name(item):
    """Return the name of an item of a list: all of it, or the key of what it is given."""
    return item if isinstance(item, str) else next(iter(item))


def options(item):
    """Return what an item of a list is given."""
    return {} if isinstance(item, str) else item[name(item)] or {}


GRADERS = {
    "github": [actionlint, zizmor, workflow_parser, github_schema],
    "gitlab": [gitlab_schema, gitlab_ci_local, gitlab_shellcheck],
    "circleci": [circleci_schema, circleci_names, circleci_shellcheck],
}


# Docker ---------------------------------------------------------------

CHECKOV = ["--python", "3.12", "--from", "checkov==3.3.30", "checkov"]


def hadolint(*paths):
    """Find what hadolint does in Dockerfiles, at its lowest threshold."""
    return lines(run("hadolint", "--no-color", "--config", os.devnull, *paths))


def checkov(*paths):
    """Find what checkov does in Dockerfiles. It runs apart: it wants a hundred packages."""
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
    """Find where the files break the Compose specification."""
    return schema("vendor.compose-spec", *paths)


# Kubernetes -----------------------------------------------------------


def kubernetes_validate(*paths):
    """Find what the schemas of Kubernetes refuse, and keys that they do not know."""
    options = ["--kubernetes-version=1.37", "--strict", "--quiet"]
    return lines(run("kubernetes-validate", *options, *paths))


# Tools ----------------------------------------------------------------


def schema(name, *arguments):
    """Find where files break one of the schemas that check-jsonschema has with it."""
    options = ["--builtin-schema", name, "--output-format", "json"]
    result = run("check-jsonschema", *options, *arguments)
    if result.returncode not in {0, 1} or not result.stdout:
        return lines(result)
    report = json.loads(result.stdout)
    return [
        f"{error['filename']}: {error.get('best_deep_match', error)['message']}"
        for error in report.get("parse_errors", []) + report.get("errors", [])
    ]


def shellcheck(scripts, *paths):
    """Find what shellcheck does in the scripts that a function yields for a place."""
    findings = []
    places = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, document in documents(paths, findings):
            known = len(places)
            for place, node in walk(document):
                for script in scripts(place, node):
                    file = Path(folder, str(len(places)))
                    # Both providers run Bash with these options.
                    file.write_text(f"set -eo pipefail\n{script}\n")
                    places[str(file)] = f"{path}: {'.'.join(map(str, place))}"
            if len(places) == known:
                findings.append(f"{path}: no script")
        options = ["--norc", "--shell=bash", "--format=json"]
        result = run("shellcheck", *options, *places) if places else None
    if not result:
        return findings
    if result.returncode not in {0, 1}:
        return findings + lines(result)
    return findings + [
        f"{places[found['file']]}: {found['message']} [SC{found['code']}]"
        for found in json.loads(result.stdout)
    ]


class Loader(yaml.SafeLoader):
    """Reads GitLab's references as nothing: what they point at is read where it stands."""


Loader.add_constructor("!reference", lambda loader, node: None)


def documents(paths, findings):
    """Yield each path with what its YAML says; one that says nothing is a finding."""
    for path in paths:
        try:
            document = yaml.load(path.read_text(), Loader)
        except (OSError, yaml.YAMLError) as error:
            findings.append(f"{path}: {error}")
            continue
        if isinstance(document, dict):
            yield path, document
        else:
            findings.append(f"{path}: no mapping")


def walk(node, place=()):
    """Yield each value inside a document, with the keys that lead to it."""
    inside = enumerate(node) if isinstance(node, list) else ()
    for key, value in node.items() if isinstance(node, dict) else inside:
        yield (*place, key), value
        yield from walk(value, (*place, key))


def run(tool, *arguments, cwd=None, **variables):
    """Run a tool of the test environment, away from what could bend its judgement."""
    return subprocess.run(
        [TOOLS / tool, *arguments],
        cwd=cwd,
        env=clean_environment(**variables),
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
