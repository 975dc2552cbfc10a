"""The real Kamal reads a project's settings, and deploys to a server over SSH."""

import contextlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployment.platforms import Kamal
from tests.deployment.platforms.base import STAND_INS
from tests.deployment.sites import Sites, serving
from tests.support.machine import give_up
from tests.support.options import FULL, REDIS_STATES
from tests.support.project import Project, closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
# The home folder is the server's, without the files that the user's shell reads.
SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/deploy_key.pub
ForceCommand {folder}/session
PasswordAuthentication no
PidFile none
SetEnv HOME={folder}/home
StrictModes no
UsePAM no
"""
SESSION = """\
#!/bin/sh
cd {folder}/home
export PATH={folder}/bin:{path} STAND_IN={folder} STAND_IN_FAILS={fails}
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
# The commands of Docker that change containers or images
CHANGES = ("exec", "pull", "run", "stop", "tag")


@pytest.fixture(scope="module")
def project(render_for_module):
    """Return a project with a worker, in which Kamal is installed."""
    project = render_for_module(
        **FULL,
        use_docker=True,
        deploy_target="kamal",
        staging_server="localhost",
        staging_url="https://staging.example.com",
    )
    project.commit("A")
    # Without a Kamal that is already installed
    path = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder, "kamal").exists()
    )
    project.make_ok("tools", PATH=path)
    return project


@pytest.fixture
def kamal(project):
    """Return a function that runs the real Kamal in a project."""
    program = project / ".tools/bin/kamal"
    options = ("--config-file", "deploy/kamal/deploy.yml", "--version", "0123abcd")

    def kamal(project, *arguments, **variables):
        return project.run(str(program), *arguments, *options, **variables)

    return kamal


def test_make_installs_the_pinned_kamal(project, kamal):
    pins = project.read("deploy/kamal/requirements.txt")
    (version,) = re.findall("^kamal==([^ ]*)", pins, re.MULTILINE)

    assert kamal(project, "version").stdout == f"{version}\n"


# The settings


@pytest.mark.parametrize("environment", Kamal.names)
@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_kamal_accepts_the_settings(rendered, kamal, answers, environment):
    project = rendered(**answers, use_docker=True, deploy_target="kamal")
    image = "registry.example.com:5000/team/shop"

    done = kamal(
        project, "config", "--destination", environment, IMAGE=f"{image}@sha256:0"
    )

    assert done.returncode == 0, done.stdout
    found = yaml.load(done.stdout.replace(" :", " "), yaml.BaseLoader)
    assert found[":absolute_image"] == f"{image}:0123abcd"
    assert found[":hosts"] == [host(project, environment)]
    others = ["worker", "beat"] * bool(answers.get("use_celery"))
    assert found[":roles"] == sorted(["web", *others])


def host(project, environment):
    settings = project.toml("deploy/environments.toml")["environments"]
    return settings[environment]["url"].removeprefix("https://")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deploy.yml", "app_port: 8000", "app_ports: 8000"),
        ("deploy.yml", "deploy_timeout: 60", "deploy_timeout: [60]"),
        ("deploy.staging.yml", "  web:", "  www:"),
    ],
)
def test_kamal_finds_defects_in_its_settings(rendered, kamal, tmp_path, name, old, new):
    shared = rendered(use_docker=True, deploy_target="kamal")
    project = shared.copy_to(tmp_path / "project")
    project.edit(f"deploy/kamal/{name}", old, new)

    done = kamal(project, "config", "--destination", "staging")

    assert done.returncode == 1
    assert "ERROR (Kamal::ConfigurationError)" in done.stdout


def test_container_stops_later_than_its_server(project):
    (grace,) = re.findall("graceful_timeout = (.*)", project.read("config/gunicorn.py"))
    (timeout,) = re.findall(
        "stop-timeout: (.*)", project.read("deploy/kamal/deploy.yml")
    )

    assert int(timeout) > int(grace)


def test_image_has_the_label_that_kamal_prunes_by(project):
    (service,) = re.findall(
        "^service: (.*)", project.read("deploy/kamal/deploy.yml"), re.MULTILINE
    )

    assert f"\nLABEL service={service}\n" in project.read("Dockerfile")


# A server


class Server(Kamal):
    """The real Kamal, and the server of one environment, which it reaches over SSH."""

    timeout = 300

    def create(self):
        """Make the server, with its environment file and without a container."""
        self.save({"number": 0, "images": {}, "containers": []})
        for name in ("bin", "home", "me"):
            (self.folder / name).mkdir()
        (self.folder / "bin/docker").symlink_to(STAND_INS / "server-docker")
        (self.folder / "home/my-project-staging.env").write_text("DATABASE_URL=x\n")
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "deploy_key"],
            cwd=self.folder,
            check=True,
        )
        self.fail("")
        self.variables |= {
            "HOME": str(self.folder / "me"),
            "PATH": os.environ["PATH"],
            "REGISTRY_USER": "puller",
            "REGISTRY_PASSWORD": "very-$ecret",
            "SSH_KNOWN_HOSTS": f"localhost {self.read('host_key.pub')}",
            "SSH_PRIVATE_KEY": self.read("deploy_key"),
        }

    def fail(self, step):
        """Make a step fail from now on."""
        session = SESSION.format(
            folder=self.folder,
            path=shlex.quote(os.environ["PATH"]),
            fails=step,
        )
        (self.folder / "session").write_text(session)
        (self.folder / "session").chmod(0o755)

    def read(self, name):
        return (self.folder / name).read_text()

    def calls(self):
        """Return the commands that Docker received."""
        return self.read("calls").splitlines()

    def run_first(self):
        """Run the first commit on the server."""
        commit = self.commits[0]
        image, _, digest = self.image(commit).partition("@")
        images = {f"{image}:{commit}": digest, f"{image}:latest-staging": digest}
        labels = {"service": "my-project", "destination": "staging"}
        containers = [
            {
                "id": f"{number:012x}",
                "name": f"my-project-{role}-staging-{commit}",
                "image": f"{image}:{commit}",
                "labels": labels | {"role": role},
                "state": "running",
            }
            for number, role in ((3, "beat"), (2, "worker"), (1, "web"))
        ]
        self.save({"number": 3, "images": images, "containers": containers})
        self.serve("my-project-staging", commit)
        self.serve("my-project-staging-worker", commit)
        self.serve("my-project-staging-beat", commit)

    def holds_no_secret(self, output):
        """Check that no secret was printed, or left in the project."""
        left = [path for path in self.project.path.rglob("*") if path.is_file()]
        texts = [output, *(path.read_text(errors="replace") for path in left)]
        for secret in (self.read("deploy_key"), self.variables["REGISTRY_PASSWORD"]):
            assert not [text for text in texts if secret.strip() in text]

    def keeps_no_login(self):
        """Check that Docker on the server does not keep the password of the registry."""
        calls = [line.split()[1] for line in self.calls()]
        assert "login" in calls
        assert self.read("home/.docker/config.json") == '{"auths": {}}'


@pytest.fixture
def server(project, tmp_path):
    """Yield a server on which the real sshd runs, and a stand-in for Docker."""
    if not SSHD:
        give_up("there is no sshd (Debian: openssh-server)")
    port, user = closed_port(), pwd.getpwuid(os.getuid()).pw_name
    copy = Project(tmp_path / "project")
    shutil.copytree(
        project.path, copy.path, ignore=shutil.ignore_patterns(".cache", ".tools")
    )
    with serving(Sites()) as web, listening(tmp_path / "server", port):
        url = f"http://localhost:{web.server_port}/my-project-staging"
        copy.edit("deploy/environments.toml", "https://staging.example.com", url)
        copy.edit(
            "deploy/kamal/deploy.yml", "user: deploy", f"user: {user}\n  port: {port}"
        )
        copy.edit("deploy/kamal/deploy.yml", "deploy_timeout: 60", "deploy_timeout: 1")
        copy.commits = copy.commit_each("ABC")
        server = Server(copy, tmp_path / "server", web)
        server.variables["PATH"] += f"{os.pathsep}{project / '.tools/bin'}"
        yield server


@contextlib.contextmanager
def listening(folder, port):
    """Run sshd in a new folder."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as Debian's service does
    folder.mkdir()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"],
        check=True,
    )
    (folder / "sshd_config").write_text(SSHD_CONFIG.format(folder=folder, port=port))
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log
        )
    try:
        log = folder / "sshd.log"
        wait_until(lambda: "Server listening" in log.read_text(), 20, log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_kamal_deploys_and_rolls_back(server):
    first, second, _ = server.commits
    code, output = server.run("deploy", "staging", first)
    assert code == 0, output
    before = len(server.calls())

    code, output = server.run("deploy", "staging", second)
    assert code == 0, output
    assert server.running("staging") == second
    words = [line.split()[1] for line in server.calls()[before:]]
    # The migration has a container of its own; the others start before the old ones end.
    assert [word for word in words if word in CHANGES] == [
        *("pull", "tag", "run"),
        *("run", "exec", "stop"),
        *("run", "stop"),
        *("run", "stop", "tag"),
    ]

    code, back = server.run(
        "rollback", "staging", second, IMAGE="", REGISTRY_PASSWORD=""
    )
    assert code == 0, back
    assert server.running("staging") == first
    assert not (server.folder / "home/.kamal/lock-my-project-staging").exists()
    server.holds_no_secret(output + back)
    server.keeps_no_login()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("migrate", "still runs and is ready: no rollback needed"),
        ("web", "still runs and is ready: no rollback needed"),
        ("worker", "runs again and is ready"),
        ("beat", "runs again and is ready"),
    ],
)
def test_failed_step_keeps_the_previous_release(server, step, words):
    old, new, _ = server.commits
    server.run_first()
    server.fail(step)

    code, output = server.run("deploy", "staging", new)

    assert code == 1, output
    assert f"The previous release {old} {words}" in output
    assert server.running("staging") == old
    runs = [it for it in server.state()["containers"] if it["state"] == "running"]
    assert {it["image"].rpartition(":")[2] for it in runs} == {old}
    assert len(runs) == 3
    server.keeps_no_login()


@pytest.mark.parametrize("known", ["", "localhost"])
def test_unknown_server_is_refused(server, known):
    other = server.read("deploy_key.pub")

    code, output = server.run(
        "deploy",
        "staging",
        server.commits[0],
        SSH_KNOWN_HOSTS=f"{known} {other}" if known else "",
    )

    assert code == 2, output
    assert "ERROR (Net::SSH::HostKey" in output
    assert not (server.folder / "calls").exists()


def test_server_accepts_only_its_key(server):
    code, output = server.run(
        "deploy",
        "staging",
        server.commits[0],
        SSH_PRIVATE_KEY=server.read("host_key"),
    )

    assert code == 2, output
    assert "authentication failures" in output
    assert not (server.folder / "calls").exists()
