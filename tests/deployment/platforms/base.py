"""A project with stand-ins for its platform, and with the sites that the platform serves."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.project import clean_environment
from tests.support.waiting import wait_until

FOLDER = Path(__file__).resolve().parents[1]
STAND_INS = FOLDER / "stand_ins"
# On PYTHONPATH, it shortens the pauses of a script that runs against stand-ins.
CLOCK = str(FOLDER / "clock")


class Platform:
    """A project, its commits from old to new, and a platform with both environments.

    Each target has a subclass in its own module with everything that the tests need to
    know about it. `tool` is its command line, `secrets` the variables that it requires,
    and `reads` the beginnings of its read-only commands. The lists of steps are those at
    which the stand-in can fail when commit B is deployed after commit A.
    """

    names = {"staging": "my-project-staging", "production": "my-project-production"}
    secrets = {}
    timeout = 60  # seconds for a whole deployment
    held = ""  # a step at which a test can cancel the deployment
    stuck = {}  # the variables with which a migration of the stand-in never ends
    # (environment, step, message): A still serves.
    fails_before_switch = []
    fails_during_switch = []  # some process already runs B
    fails_during_rollback = []  # B is being rolled back
    fails_at_first = []  # B is the first release
    own_files = set()  # of a project, next to those of every target
    trace = ""  # an expression that no project with another target may contain
    commands = {}  # of the manual, with their options
    runs_image = False  # that the pipeline publishes
    # The tools of its jobs in addition to Python, git and make (GitHub's runners have all),
    # and whether the jobs read the registry, or Docker even logs in to it.
    job_tools = ["python"]
    pulls_image = False
    docker_login = False
    needs_files = False  # of all commits, which it accepts only together

    def __init__(self, project, folder, sites):
        self.project, self.folder, self.sites = project, folder, sites
        self.commits = project.commits
        self.processes = []
        (folder / "sites").mkdir()
        sites.folder, sites.numbers = folder, itertools.count()
        self.variables = {
            "PATH": f"{STAND_INS}{os.pathsep}{os.environ['PATH']}",
            "STAND_IN": str(folder),
            "PYTHONPATH": CLOCK,
            "SMOKE_SECONDS": "1",
            "WATCH_SECONDS": "1",
            **self.secrets,
        }
        self.create()

    @classmethod
    def files(cls, answers):
        """Return the files that only a project with this target has."""
        return cls.own_files

    def save(self, state):
        (self.folder / "state.json").write_text(json.dumps(state))

    def state(self):
        return json.loads((self.folder / "state.json").read_text())

    def calls(self):
        """Return the commands that the platform received, without the read-only ones."""
        if not (self.folder / "calls").exists():
            return []
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if not line.startswith(tuple(self.reads))]

    def serve(self, name, commit, **others):
        answer = {"status": 200, "release": commit} | others
        (self.folder / f"sites/{name}.json").write_text(json.dumps(answer))

    def serves(self, name):
        """Return the commit that a site reports."""
        return json.loads((self.folder / f"sites/{name}.json").read_text())["release"]

    def start(self, verb, environment, release="", **variables):
        """Start to deploy or to roll back; return the process."""
        process = subprocess.Popen(
            [sys.executable, "deploy/run.py", verb, environment],
            cwd=self.project.path,
            env=clean_environment(RELEASE=release, **self.variables | variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def stop(self):
        """Stop what a failed test left: it would hold the project's lock."""
        self.release_held()
        for process in self.processes:
            process.kill()
            process.wait()

    def run(self, verb, environment, release="", **variables):
        """Deploy or roll back; return the exit code and all that it printed."""
        process = self.start(verb, environment, release, **variables)
        output, _ = process.communicate(timeout=self.timeout)
        return process.returncode, output

    def running(self, environment):
        """Return the commit that each process runs: web, worker and beat."""
        web = self.serves(self.names[environment])
        for process in ("worker", "beat"):
            assert self.serves(f"{self.names[environment]}-{process}") == web
        return web

    def wait_until_held(self):
        """Wait until a command is held at its step."""
        wait_until((self.folder / "held").exists, 20)

    def release_held(self):
        (self.folder / "go").touch()


class ByImage(Platform):
    """A platform that runs the image of a commit, in each process.

    The digest of an image begins with its commit.
    """

    runs_image = True

    def digest(self, commit):
        return f"sha256:{commit}{24 * '0'}"

    def image(self, commit):
        return f"registry.example.com/app-{commit}@{self.digest(commit)}"

    def start(self, verb, environment, release="", **variables):
        deploys = release and verb == "deploy"
        image = {"IMAGE": self.image(release)} if deploys else {}
        return super().start(verb, environment, release, **image | variables)

    def key(self, environment):
        """Return the variables that give a pipeline access to this environment only."""
        return {}

    def publish(self, commit, image=""):
        """Write the report of `make publish`, for this image or the one of the commit."""
        name, _, digest = (image or self.image(commit)).partition("@")
        published = {"image.name": f"{name}:{commit}", "containerimage.digest": digest}
        (self.project / "reports").mkdir(exist_ok=True)
        (self.project / "reports/image.json").write_text(json.dumps(published))
