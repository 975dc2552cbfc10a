"""Render, where services build commits or run an image."""

from tests.deployment.platforms.base import ByImage, Platform
from tests.deployment.sites import API


class Render(Platform):
    tool = "render"
    held = "worker:build_failed"
    stuck = {"STAND_IN_HOLDS": "web:build_failed"}
    secrets = {"RENDER_API_KEY": "rnd_very-secret", "RENDER_WORKSPACE": "tea-1"}
    reads = ["render services", "render deploys list"]
    source = {}
    fails_before_switch = [
        ("staging", "web:build_failed", "the build failed"),
        ("staging", "web:pre_deploy_failed", "which migrates, failed"),
        ("staging", "web:refused", "render deploys create .* failed"),
        ("production", "web:update_failed", "Render's health check"),
    ]
    fails_during_switch = [
        "worker:build_failed",
        "worker:lost",
        "web:lost",
        "beat:lost",
    ]
    fails_during_rollback = ["web-back:build_failed", "worker-back:build_failed"]
    fails_at_first = ["web:pre_deploy_failed", "web:refused"]

    own_files = {
        "deploy/install_cli.py",
        "deploy/render.py",
        "deploy/render_commit.py",
        "render.yaml",
    }
    trace = r"\brender\b|onrender|blueprint"
    # The commands of its manual with their options, as they are in the sources of
    # github.com/render-oss/cli (2.24).
    commands = {
        "render blueprints validate": set(),
        "render deploys create": {
            "--commit",
            "--confirm",
            "--image",
            "--output",
            "--wait",
        },
        "render deploys list": {"--output"},
        "render logs": {"--resources", "--tail"},
        "render services": {"--output"},
    }

    def create(self):
        """Create each service without a deploy."""
        self.services = [
            f"{app}{role}"
            for app in self.names.values()
            for role in ("", "-worker", "-beat")
        ]
        self.make_services()
        host = f"http://localhost:{self.sites.server_port}/{API}/v1/"
        self.variables["RENDER_HOST"] = host

    def make_services(self, *deploys):
        service = {"source": self.source, "deploys": deploys}
        self.save(dict.fromkeys(self.services, service))

    def artifact(self, commit):
        """Return the artifact of a deploy, as Render describes it."""
        return {"commit": {"id": commit}}

    def run_first(self):
        """Run the first commit in both environments."""
        commit = self.commits[0]
        live = {"id": "dep-1", "status": "live", "finishedAt": "2026-11-24T00:00:00Z"}
        self.make_services(live | self.artifact(commit))
        for service in self.services:
            self.serve(service, commit)


class RenderImage(ByImage, Render):
    """Render, where services run an image."""

    source = {"imagePath": f"registry.example.com/shop@sha256:{64 * '0'}"}
    fails_before_switch = [
        ("staging", "web:build_failed", "could not pull the image"),
        *Render.fails_before_switch[1:],
    ]
    fails_at_first = ["web:pre_deploy_failed"]
    own_files = {
        "deploy/image.py",
        "deploy/install_cli.py",
        "deploy/render.py",
        "deploy/render_image.py",
        "render.yaml",
    }

    def create(self):
        super().create()
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def image(self, commit):
        return f"registry.example.com/shop@{self.digest(commit)}"

    def artifact(self, commit):
        return {"image": {"ref": self.image(commit), "sha": f"sha256:{64 * '0'}"}}
