"""Run a project's own GitLab pipeline on this machine, without Docker and without GitLab.

gitlab-ci-local runs each job in a copy of the project, in a shell instead of its image.
Stand-ins replace the other programs that it needs. The sandbox serves the services at
their own host names, each at an address of its own.
"""

import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.deployment.platforms.base import STAND_INS
from tests.pipelines.readers import gitlab
from tests.pipelines.runners.sandbox import Run, Sandbox, Service, merge_services
from tests.support.node import GITLAB_CI_LOCAL, NODE, node_modules

COMMANDS = Path(__file__).with_name("commands")
PROGRAM = "gitlab-ci-local/dist/index.js"
SOURCES = {"request": "merge_request_event", "main": "push"}
SOURCES |= {"nightly": "schedule", "rollback": "push"}
BASES = ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA")
STATE = ".gitlab-ci-local"
VARIABLES = ".gitlab-ci-local-variables.yml"
ENDED = re.compile(r"^ (PASS|WARN|FAIL)  +(\S+)", re.MULTILINE)


def run_gitlab(
    project, sandbox: Sandbox, workflow="main", jobs=(), inputs=None, predefined=None
):
    """Run the pipeline of a project that is committed, as for its main branch.

    A request is in a merge train, based on the newest commit.
    The inputs are the variables of a manual job, which may be in an older pipeline.
    `predefined` are variables of GitLab's own, whose values differ.
    """
    inputs = inputs or {}
    checkout = sandbox.scratch / "checkout"
    subprocess.run(["git", "clone", "--quiet", project.path, checkout], check=True)
    older = [
        "git",
        "checkout",
        "--quiet",
        "-B",
        "main",
        f"HEAD~{inputs.get('older', 0)}",
    ]
    subprocess.run(older, cwd=checkout, check=True)
    environment = sandbox.environment(NO_COLOR="1")
    # For services, gitlab-ci-local needs a docker command.
    path = (str(COMMANDS), str(STAND_INS), environment["PATH"])
    environment["PATH"] = os.pathsep.join(path)
    command = [NODE, node_modules(GITLAB_CI_LOCAL) / PROGRAM, "--force-shell-executor"]
    command += ["--shell-isolation", "--no-artifacts-to-source"]
    command += [f"--variable=CI_PIPELINE_SOURCE={SOURCES[workflow]}"]
    if workflow == "request":
        command.append("--variable=CI_MERGE_REQUEST_EVENT_TYPE=merge_train")
        command += [f"--variable={name}={project.head()}" for name in BASES]
    if "release" in inputs:
        command.append(f"--variable=RELEASE={inputs['release']}")
    registry = sandbox.secrets.get("registry", {})
    predefined = {it: registry[it] for it in registry if it.startswith("CI_")} | (
        predefined or {}
    )
    own = ["CI_PIPELINE_SOURCE", *predefined]
    command += [f"--ignore-predefined-vars={','.join(own)}"]
    # The folder in the file would be an empty cache.
    command += [f"--variable=UV_CACHE_DIR={environment['UV_CACHE_DIR']}"]
    for name, value in predefined.items():  # Every job has these.
        command.append(f"--variable={name}={value}")
    if sandbox.code_host:
        artifacts = checkout / STATE / "artifacts/template-update"
        (sandbox.code_host / "artifacts").symlink_to(artifacts)
    variables = checkout / VARIABLES
    variables.write_text(yaml.safe_dump(scope(sandbox.secrets)))
    command += ["--needs", *jobs] if jobs else []
    file = gitlab.parse(project)
    services = read_services(file[gitlab.FILE])
    done = sandbox.run(command, checkout, environment, services)
    ended = {job: word for word, job in ENDED.findall(done.stdout)}
    assert ended, done.stdout
    names = gitlab.read(file)[workflow]
    assert ended.keys() <= names.keys(), done.stdout
    outcomes = {"PASS": "success", "WARN": "failure", "FAIL": "failure"}
    return Run(
        passed=done.returncode == 0,
        results={name: outcomes.get(ended.get(name), "skipped") for name in names},
        logs={
            name: (checkout / STATE / "output" / f"{name}.log").read_text()
            for name in ended
        },
        server_logs=sandbox.server_logs(),
        artifacts=checkout / STATE / "artifacts",
    )


def scope(secrets):
    """Return the variables of the environments, each with its value for each of them."""
    variables = {}
    for environment in secrets:
        for name, value in secrets[environment].items():
            variable = variables.setdefault(name, {"type": "variable", "values": {}})
            variable["values"][environment] = value
    return variables


def read_services(file):
    """Return the services of the jobs by host name, with the jobs' variables."""
    found = []
    for name, job in file.items():
        if name in gitlab.GLOBAL or name.startswith("."):
            continue
        job = gitlab.extend(job, file)
        servers = [it for it in job.get("services", []) if it["alias"] != "docker"]
        for number, service in enumerate(servers, start=2):
            variables = file.get("variables", {}) | job.get("variables", {})
            variables |= service.get("variables", {})
            # The job's checkout reads these; no service does.
            variables = {k: v for k, v in variables.items() if k not in gitlab.BASE}
            place = (f"127.0.0.{number}", variables, service["alias"])
            found.append((service["alias"], Service(service["name"], *place)))
    return merge_services(found)
