"""Fly.io, with its registry."""

from tests.deployment.platforms.base import ByImage


class Fly(ByImage):
    tool = "flyctl"
    held = "web"
    stuck = {"STAND_IN_HOLDS": "migrate"}
    secrets = {"FLY_API_TOKEN": "FlyV1 fm2_very-secret"}
    reads = ["flyctl machine list", "flyctl releases"]
    fails_before_switch = [
        ("staging", "copy", "imagetools create .* failed"),
        ("staging", "image", "flyctl deploy .* failed"),
        ("staging", "migrate", "the release command, which migrates, failed"),
        ("production", "migrate", "the release command, which migrates, failed"),
    ]
    fails_during_switch = ["web", "worker", "beat"]
    fails_during_rollback = ["back-image", "back-worker"]
    fails_at_first = ["migrate"]

    own_files = {
        "deploy/fly.py",
        "deploy/fly/production.toml",
        "deploy/fly/staging.toml",
        "deploy/image.py",
        "deploy/install_cli.py",
    }
    trace = r"\bfly\b|flyctl"
    job_tools = ["docker"]
    pulls_image = docker_login = True
    # The commands of its manual with their options, as they are in the sources of
    # github.com/superfly/flyctl (0.4.87).
    commands = {
        "flyctl apps create": set(),
        "flyctl auth login": set(),
        "flyctl certs add": {"--app"},
        "flyctl deploy": {"--app", "--image", "--skip-release-command"},
        "flyctl ips allocate": {"--app"},
        "flyctl logs": {"--app", "--no-tail"},
        "flyctl storage create": {"--app", "--name"},
        "flyctl mpg attach": {"--app"},
        "flyctl mpg create": {"--name", "--pg-major-version", "--plan", "--region"},
        "flyctl mpg restore": {"--pitr-time"},
        "flyctl redis create": {
            "--disable-eviction",
            "--name",
            "--no-replicas",
            "--region",
        },
        "flyctl redis plans": set(),
        "flyctl releases": {"--app", "--image"},
        "flyctl scale count": set(),
        "flyctl secrets set": {"--app", "--stage"},
        'export FLY_API_TOKEN="$(flyctl auth token)"': set(),
        "flyctl status": {"--app"},
        "flyctl tokens create deploy": {"--app", "--expiry"},
    }

    def create(self):
        """Create each app without a release."""
        app = {"registry": [], "releases": [], "machines": []}
        self.save({"logged_in": False} | dict.fromkeys(self.names.values(), app))
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def key(self, environment):
        return {"FLY_API_TOKEN": f"FlyV1 fm2_only-{self.names[environment]}"}

    def image(self, commit):
        return f"registry.example.com/app@{self.digest(commit)}"

    def run_first(self):
        """Run the first commit in both environments."""
        commit, state = self.commits[0], self.state()
        for name in self.names.values():
            image = f"registry.fly.io/{name}@{self.digest(commit)}"
            release = {"Version": 1, "Status": "complete", "ImageRef": image}
            state[name] = {
                "registry": [self.digest(commit)],
                "releases": [release],
                "machines": [
                    ["m1", "web", image],
                    ["m2", "worker", image],
                    ["m3", "beat", image],
                ],
            }
            for process in ("", "-worker", "-beat"):
                self.serve(f"{name}{process}", commit)
        self.save(state)
