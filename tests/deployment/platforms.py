"""A delivered project with stand-ins of its platform, and of the sites that it runs."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.deployment.sites import Sites
from tests.support.project import clean_environment

STAND_INS = Path(__file__).with_name("stand_ins")
HOOK = """#!/bin/sh
read old new name
exec heroku build {app} $new
"""


@contextlib.contextmanager
def sites():
    """Serve all sites from a thread of this process."""
    with Sites() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Platform:
    """A project, its commits from old to new, and a platform with both environments."""

    secrets = {}
    patience = 60  # seconds for a whole delivery

    def __init__(self, project, folder, sites):
        self.project, self.folder, self.sites = project, folder, sites
        self.commits = project.commits
        (folder / "sites").mkdir()
        sites.folder = folder
        self.variables = {
            "PATH": f"{STAND_INS}{os.pathsep}{os.environ['PATH']}",
            "STAND_IN": str(folder),
            "PYTHONPATH": str(STAND_INS.with_name("clock")),
            "SMOKE_SECONDS": "1",
            **self.secrets,
        }
        self.begin()

    def save(self, state):
        (self.folder / "state.json").write_text(json.dumps(state))

    def state(self):
        return json.loads((self.folder / "state.json").read_text())

    def asked(self):
        """Return what the platform was asked to change."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.folder / "asked").read_text().splitlines()
            return [line for line in lines if not any(map(line.startswith, self.reads))]
        return []

    def serve(self, name, commit):
        answer = {"status": 200, "release": commit}
        (self.folder / f"sites/{name}.json").write_text(json.dumps(answer))

    def serves(self, name):
        """Return the commit that a site answers with."""
        return json.loads((self.folder / f"sites/{name}.json").read_text())["release"]

    def start(self, verb, environment, release="", **variables):
        """Start a delivery."""
        return subprocess.Popen(
            [sys.executable, "deploy/deliver.py", verb, environment],
            cwd=self.project.path,
            env=clean_environment(RELEASE=release, **self.variables | variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def deliver(self, verb, environment, release="", **variables):
        """Return the exit code and all that was printed."""
        process = self.start(verb, environment, release, **variables)
        output, _ = process.communicate(timeout=self.patience)
        return process.returncode, output

    def wait_until_held(self):
        """Wait until a command holds at its step."""
        deadline = time.monotonic() + 20
        while not (self.folder / "held").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def release_held(self):
        (self.folder / "go").touch()


class Heroku(Platform):
    tool = "heroku"
    held = "build"
    secrets = {"HEROKU_API_KEY": "HRKU-very-secret"}
    reads = ["heroku releases --app"]
    names = {"staging": "my-project-staging", "production": "my-project-production"}

    def begin(self):
        """Make each app, as it is before its first push."""
        created = {
            "status": "succeeded",
            "slug": None,
            "description": "Initial release",
        }
        self.save({name: [created | {"version": 1}] for name in self.names.values()})
        for app in self.names.values():
            place = self.folder / f"git/{app}.git"
            subprocess.run(["git", "init", "--quiet", "--bare", place], check=True)
            hook = place / "hooks/pre-receive"
            hook.write_text(HOOK.format(app=app))
            hook.chmod(0o755)
        self.variables |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.folder}/git/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://git.heroku.com/",
        }

    def run_first(self):
        """Let both environments run the first commit."""
        commit, state = self.commits[0], self.state()
        for app in self.names.values():
            built = {"slug": {"id": f"slug-{commit}"}, "status": "succeeded"}
            built |= {"version": 2, "description": f"Deploy {commit[:8]}"}
            state[app].insert(0, built)
            self.serve(app, commit)
            subprocess.run(
                [
                    "git",
                    "fetch",
                    "--quiet",
                    self.project.path,
                    f"{commit}:refs/heads/main",
                ],
                cwd=self.folder / f"git/{app}.git",
                check=True,
            )
        self.save(state)

    def running(self, environment):
        return self.serves(self.names[environment])


class Render(Platform):
    tool = "render"
    held = "worker:build_failed"
    secrets = {"RENDER_API_KEY": "rnd_very-secret", "RENDER_WORKSPACE": "tea-1"}
    reads = ["render services", "render deploys list"]
    source = {}
    names = {"staging": "my-project-staging", "production": "my-project-production"}

    def begin(self):
        """Make each service, as it is before its first deploy."""
        self.services = [
            f"{app}{role}" for app in self.names.values() for role in ("", "-worker")
        ]
        self.make_services()

    def make_services(self, *deploys):
        service = {"source": self.source, "deploys": deploys}
        self.save(dict.fromkeys(self.services, service))

    def artifact(self, commit):
        """Return how a deploy names what it runs."""
        return {"commit": {"id": commit}}

    def run_first(self):
        """Let both environments run the first commit."""
        commit = self.commits[0]
        self.make_services({"id": "dep-1", "status": "live"} | self.artifact(commit))
        for service in self.services:
            self.serve(service, commit)

    def running(self, environment):
        """Return what the web service runs, which must be what the worker runs."""
        web = self.serves(self.names[environment])
        assert self.serves(f"{self.names[environment]}-worker") == web
        return web


class ByImage(Platform):
    """A platform that runs the image of a commit, in the web process and in the worker.

    The digest of an image begins with its commit.
    """

    names = {"staging": "my-project-staging", "production": "my-project-production"}

    def digest(self, commit):
        return f"sha256:{commit}{24 * '0'}"

    def image(self, commit):
        return f"registry.example.com/app-{commit}@{self.digest(commit)}"

    def start(self, verb, environment, release="", **variables):
        image = {"IMAGE": self.image(release)} if release else {}
        return super().start(verb, environment, release, **image | variables)

    def key(self, environment):
        """Return the variables that let a pipeline into an environment, and no other."""
        return {}

    def publish(self, commit, image=""):
        """Leave what `make publish` does, maybe with another image of the same commit."""
        name, _, digest = (image or self.image(commit)).partition("@")
        published = {"image.name": f"{name}:{commit}", "containerimage.digest": digest}
        (self.project / "reports").mkdir(exist_ok=True)
        (self.project / "reports/image.json").write_text(json.dumps(published))

    def running(self, environment):
        """Return what the web process runs, which must be what the worker runs."""
        web = self.serves(self.names[environment])
        assert self.serves(f"{self.names[environment]}-worker") == web
        return web


class RenderImage(ByImage, Render):
    """Render, where services run an image."""

    source = {"imagePath": f"registry.example.com/shop@sha256:{64 * '0'}"}

    def begin(self):
        super().begin()
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def image(self, commit):
        return f"registry.example.com/shop@{self.digest(commit)}"

    def artifact(self, commit):
        return {"image": {"ref": self.image(commit), "sha": f"sha256:{64 * '0'}"}}


class Fly(ByImage):
    tool = "flyctl"
    held = "web"
    secrets = {"FLY_API_TOKEN": "FlyV1 fm2_very-secret"}
    reads = ["flyctl machine list", "flyctl releases"]
    names = {"staging": "my-project-staging", "production": "my-project-production"}

    def begin(self):
        """Make each app, as it is before its first release."""
        app = {"registry": [], "releases": [], "machines": []}
        self.save({"logged_in": False} | dict.fromkeys(self.names.values(), app))
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def key(self, environment):
        return {"FLY_API_TOKEN": f"FlyV1 fm2_only-{self.names[environment]}"}

    def image(self, commit):
        return f"registry.example.com/app@{self.digest(commit)}"

    def run_first(self):
        """Let both environments run the first commit."""
        commit, state = self.commits[0], self.state()
        for name in self.names.values():
            image = f"registry.fly.io/{name}@{self.digest(commit)}"
            release = {"Version": 1, "Status": "complete", "ImageRef": image}
            state[name] = {
                "registry": [self.digest(commit)],
                "releases": [release],
                "machines": [["m1", "web", image], ["m2", "worker", image]],
            }
            self.serve(name, commit)
            self.serve(f"{name}-worker", commit)
        self.save(state)


class Kubernetes(ByImage):
    tool = "kubectl"
    held = "apply"
    reads = ["kubectl --namespace my-project-staging get"]
    reads += ["kubectl --namespace my-project-production get"]

    def begin(self):
        """Make each namespace, with its secret and with Deployments that have no pod."""
        self.save(
            {
                name: {
                    "secrets": True,
                    "jobs": {},
                    "deployments": self.deployments(),
                    "applied": "none",
                }
                for name in self.names.values()
            }
        )
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def key(self, environment):
        return {"KUBECONFIG_CONTENT": f"very-secret: {self.names[environment]}"}

    def deployments(self, *revisions):
        return {name: list(revisions) for name in ("web", "worker")}

    def run_first(self):
        """Let both environments run the first commit."""
        commit, state = self.commits[0], self.state()
        for name in self.names.values():
            state[name]["deployments"] = self.deployments([1, self.image(commit), 1])
            self.serve(name, commit)
            self.serve(f"{name}-worker", commit)
        self.save(state)

    def run_next(self, environment, commit):
        """Let an environment run one more commit."""
        state, name = self.state(), self.names[environment]
        for revisions in state[name]["deployments"].values():
            revisions.insert(0, [2, self.image(commit), 2])
        self.save(state)
        self.serve(name, commit)
        self.serve(f"{name}-worker", commit)


class Kamal(ByImage):
    tool = "kamal"
    held = "web"
    reads = ["kamal server exec --primary --quiet ids=", "kamal server exec test"]
    reads += ["kamal lock", "kamal registry login"]

    def begin(self):
        """Make a server for each environment, with the file of its secrets."""
        server = {"locked": False, "settings": True, "latest": ""}
        server |= {"images": {}, "containers": []}
        self.save(dict.fromkeys(self.names.values(), server))
        self.variables |= {
            "IMAGE": self.image(self.commits[-1]),
            "REGISTRY_USER": "puller",
            "REGISTRY_PASSWORD": "very-secret",
        }

    def run_first(self):
        """Let both environments run the first commit."""
        commit, state = self.commits[0], self.state()
        pulled = self.image(commit)
        image = f"{pulled.partition('@')[0]}:{commit}"
        for name in self.names.values():
            state[name] |= {"latest": image, "images": {image: pulled}}
            state[name]["containers"] = [
                {"id": number, "role": role, "image": image, "state": "running"}
                for number, role in (("2", "worker"), ("1", "web"))
            ]
            self.serve(name, commit)
            self.serve(f"{name}-worker", commit)
        self.save(state)


# By the name of the target, and what makes it another platform.
PLATFORMS = {
    "heroku": Heroku,
    "render": Render,
    "render-image": RenderImage,
    "fly": Fly,
    "kamal": Kamal,
    "kubernetes": Kubernetes,
}
