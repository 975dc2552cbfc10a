"""Run a project's own CircleCI workflows on this machine, without Docker.

CircleCI offers no program for that, so this one runs the steps of each job in a shell,
in a clone of the project, and in a sandbox with the services of the job's executor. A
step or a key that it does not know is an error.
"""

import json
import re
import shlex
from dataclasses import replace

from tests.pipelines.readers import circleci
from tests.pipelines.runners.sandbox import Run, Sandbox, Service
from tests.support.commands import ran_in_shell

IMAGE_KEYS = {"image", "environment"}
RUN_KEYS = {"name", "command", "no_output_timeout"}
# CircleCI's own shell: https://circleci.com/docs/reference/configuration-reference/
SHELL = "bash -eo pipefail -c"


def run_circleci(project, sandbox: Sandbox, workflow="main", jobs=(), inputs=None):
    """Run the workflows of a push to main, of another branch, or of the night.

    It passed if `ci` or `nightly` did: the result of no other workflow counts.
    """
    file = fill_parameters(circleci.parse(project)[circleci.FILE], inputs or {})
    flow = "request" if workflow == "request" else "main"
    for job in file["jobs"].values():
        job["steps"] = list(circleci.expand(job["steps"], file["commands"], flow))
    (sandbox.scratch / "artifacts").mkdir()
    run = Run(True, {}, {}, {}, sandbox.scratch / "artifacts")
    for name, content in file["workflows"].items():
        check_keys(content, {"when", "jobs"})
        flows = (
            {name} if name.startswith("rollback") else circleci.WHEN[content["when"]]
        )
        if workflow in flows:
            entries = read_entries(content, flow)
            needs = {job: options["requires"] for job, options in entries.items()}
            names = wanted(jobs, needs)
            run_jobs(entries, needs, names, file, project, sandbox, run)
            if name != "audit":
                run.passed = "failure" not in (run.results[job] for job in needs)
    return run


def fill_parameters(file, inputs):
    """Return a file with the pipeline's parameters in their places."""
    text = json.dumps({key: file[key] for key in file.keys() - {"workflows"}})
    for name, parameter in file["parameters"].items():
        value = str(inputs.get(name, parameter["default"]))
        text = text.replace(f"<< pipeline.parameters.{name} >>", value)
    return file | json.loads(text)


def read_entries(content, flow):
    """Return the jobs of a workflow with their options: all are approved.

    They run on main, except those of a request.
    """
    found = {}
    for name, options in circleci.read_entries(content).items():
        check_keys(options, circleci.ENTRY_KEYS)
        if flow in circleci.FILTERS.get(options.get("filters"), {flow}):
            found[name] = options
    return found


def wanted(jobs, needs):
    """Return which jobs to run: these and what they require, or all."""
    if not jobs:
        return set(needs)
    found = set(jobs) & set(needs)
    return found.union(*(wanted(needs[job], needs) for job in found if needs[job]))


def run_jobs(entries, needs, names, file, project, sandbox, run):
    """Run the named jobs of one workflow, each after those that it requires."""
    waiting = dict(needs)
    while waiting:
        job = next(job for job in waiting if not waiting.keys() & set(needs[job]))
        del waiting[job]
        if job in names and all(run.results[it] == "success" for it in needs[job]):
            contexts = circleci.read_contexts(entries[job])
            run_job(job, contexts, file, project, sandbox, run)
        else:
            run.results[job] = "skipped"


def run_job(name, contexts, file, project, sandbox, run):
    """Run one job, and record its result in the run."""
    job = file["jobs"][name]
    check_keys(job, {"executor", "steps", "environment"})
    executor = file["executors"][job["executor"]]
    check_keys(executor, {"docker", "machine"})
    images = executor.get("docker", [{}])
    for image in images:
        check_keys(image, IMAGE_KEYS)
    primary, *others = images
    services = {}
    for image in others:
        service = Service(image["image"], "127.0.0.1", image.get("environment", {}))
        services[service.kind] = service
    box = replace(sandbox, scratch=sandbox.scratch / name)
    (box.scratch / "project").mkdir(parents=True)
    environment = box.environment(CI="true", CIRCLECI="true")
    environment |= primary.get("environment", {}) | job.get("environment", {})
    for context in contexts:
        environment |= sandbox.secrets[context.removeprefix(circleci.CONTEXT_PREFIX)]
    steps = job["steps"]
    packages = environment["UV_CACHE_DIR"]
    # A job without a cache downloads anew: uv's cache also stands in for the network.
    if "restore_cache" in dict(steps):
        del environment["UV_CACHE_DIR"]
    places = {"project": project.path, "artifacts": run.artifacts / name}
    places["workspace"] = sandbox.scratch / "workspace"
    lines = [
        translate(*step, places, restore_commands(file, packages)) for step in steps
    ]
    script = "\n".join(["failed=0", *lines, "exit $failed"])
    command = ["bash", "-c", script]
    done = box.run(command, box.scratch / "project", environment, services)
    run.results[name] = "failure" if done.returncode else "success"
    run.logs[name] = done.stdout
    for command in re.findall(r"^\$ (.*)", done.stdout, re.MULTILINE):
        ran_in_shell(command, box.scratch / "project")
    run.server_logs |= box.server_logs()


def restore_commands(file, packages):
    """Return the commands that restore each cache of an earlier run, by its key.

    uv's own cache stands in for each of them, in the folder that the job saved.
    """
    found = {}
    for job in file["jobs"].values():
        for step, body in job["steps"]:
            if step == "save_cache":
                check_keys(body, {"key", "paths", "when"})
                (path,) = body["paths"]
                folder = path.replace("~", "$HOME")
                link = f"ln -s {shlex.quote(packages)} {folder}"
                found[body["key"]] = f"mkdir -p $(dirname {folder}); {link}"
    return found


def translate(step, body, places, caches):
    """Return the lines of the job's script that do one step."""
    folder = shlex.quote(str(places["artifacts"]))
    if step == "run":
        check_keys(body, RUN_KEYS)
        do = f"echo '$' {shlex.quote(body['command'])}\n"
        do += f"{SHELL} {shlex.quote(body['command'])} || failed=$?"
        return f"if [ $failed = 0 ]; then\n{do}\nfi"
    if step == "checkout":
        check_keys(body, set())
        return f"git clone --quiet {shlex.quote(str(places['project']))} . || exit 1"
    if step == "restore_cache":
        check_keys(body, {"key"})
        return caches.get(body["key"], "echo 'There is no cache for this key.'")
    if step == "save_cache":
        return ""
    workspace = shlex.quote(str(places["workspace"]))
    if step == "persist_to_workspace":
        check_keys(body, {"root", "paths"})
        root, paths = shlex.quote(body["root"]), shlex.join(body["paths"])
        copy = f"(cd {root} && cp -R --parents {paths} {workspace})"
        do = f"mkdir -p {workspace}; {copy} || failed=$?"
        return f"if [ $failed = 0 ]; then\n{do}\nfi"
    if step == "attach_workspace":
        check_keys(body, {"at"})
        at = shlex.quote(body["at"])
        return f"mkdir -p {at}; cp -R {workspace}/. {at} || failed=$?"
    # These two always run, and a missing folder does not fail the job.
    if step in {"store_artifacts", "store_test_results"}:
        check_keys(body, {"path"})
        path = shlex.quote(body["path"])
        return f"mkdir -p {folder}/{step}; cp -R {path} {folder}/{step} || true"
    raise AssertionError(f"unknown step: {step}")


def check_keys(mapping, known):
    unknown = mapping.keys() - known
    assert not unknown, f"unknown keys: {sorted(unknown)}"
