"""A machine for the stand-in of Heroku, which builds and runs real releases.

python tests/deployment/dyno.py build|release|web COMMIT

$DYNO_VENV has the project's packages, $DYNO_PROXY is nginx's folder. As with Heroku's
preboot, the old web process serves until the new one is ready. If it never is, the old
one keeps serving.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])
PROXY = Path(os.environ["DYNO_PROXY"])
NO_ANSWER = (OSError, http.client.HTTPException)
UPSTREAM = "server 127.0.0.1:{port};\n"


def main():
    action, commit = sys.argv[1:]
    slug = FOLDER / "slugs" / commit
    environment = os.environ | {"HEROKU_BUILD_COMMIT": commit, "PYTHONPATH": str(slug)}
    environment["PATH"] = f"{slug}/.venv/bin:{environment['PATH']}"
    # A dyno does not have the variables of the machine that deploys.
    for name in [name for name in environment if name.startswith(("GIT_", "RELEASE"))]:
        del environment[name]
    {"build": build, "release": release, "web": web}[action](commit, slug, environment)


def build(commit, slug, environment):
    """Unpack a commit, and collect its static files."""
    slug.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", slug], input=archive.stdout, check=True)
    (slug / ".venv").symlink_to(os.environ["DYNO_VENV"])
    collect = ["python", "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=slug, env=environment, check=True)


def release(commit, slug, environment):
    command = find_process(slug, "release")
    subprocess.run(command, cwd=slug, env=environment, check=True)


def web(commit, slug, environment):
    """Start a web process, switch nginx to it, and stop the previous one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (FOLDER / "web.log").open("a") as log:
        process = subprocess.Popen(
            find_process(slug, "web"),
            cwd=slug,
            env=environment | {"PORT": str(port), "WEB_CONCURRENCY": "2"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if not answers(process, port):
        return
    pids = FOLDER / "web.pid"
    old = int(pids.read_text()) if pids.exists() else None
    pids.write_text(str(process.pid))
    (PROXY / "upstream.conf").write_text(UPSTREAM.format(port=port))
    subprocess.run(
        ["nginx", "-p", PROXY, "-c", "nginx.conf", "-s", "reload"], check=True
    )
    time.sleep(1)  # until the old process has nginx's last requests
    if old:
        os.kill(old, signal.SIGTERM)


def find_process(slug, name):
    """Return the command of a process type of the Procfile, which a shell runs as on Heroku."""
    lines = (slug / "Procfile").read_text().splitlines()
    return ["bash", "-c", dict(line.split(": ", 1) for line in lines)[name]]


def answers(process, port):
    """Wait for a response: Gunicorn accepts connections before it has loaded the project."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(*NO_ANSWER):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    main()
