"""Kamal, with a server for each environment."""

from tests.deployment.platforms.base import ByImage


class Kamal(ByImage):
    tool = "kamal"
    held = "web"
    stuck = {"STAND_IN_HOLDS": "migrate"}
    reads = ["kamal server exec --primary --quiet ids=", "kamal server exec test"]
    reads += ["kamal lock", "kamal registry"]
    fails_before_switch = [
        ("staging", "migrate", "the migration failed: `kamal app exec .* failed"),
        ("production", "web", "the new container did not become ready"),
    ]
    fails_during_switch = ["worker", "beat"]
    fails_during_rollback = ["back"]
    fails_at_first = ["migrate", "web"]

    own_files = {
        "deploy/image.py",
        "deploy/kamal.py",
        "deploy/kamal/deploy.production.yml",
        "deploy/kamal/deploy.staging.yml",
        "deploy/kamal/deploy.yml",
        "deploy/kamal/requirements.txt",
        "deploy/kamal/secrets-common",
        "deploy/kamal/ssh_config",
    }
    trace = "kamal|known_hosts|label service"
    pulls_image = True
    # The commands of its manual with their options, as they are in the sources of
    # Kamal (2.11) with its proxy (0.9.2); the others are of Debian, OpenSSH and Docker.
    commands = {
        "cat staging_key.pub ~/.ssh/id_ed25519.pub | ssh root@": {"--mode"},
        "cat production_key.pub ~/.ssh/id_ed25519.pub | ssh root@": {"--mode"},
        "chmod 600": set(),
        "docker exec kamal-proxy kamal-proxy deploy": {
            "--health-check-path",
            "--host",
            "--target",
            "--tls",
        },
        "docker logs": {"--tail"},
        "docker ps": {"--all", "--filter"},
        "docker start": set(),
        "kamal lock release": {"--config-file", "--destination"},
        "scp -p": set(),
        "ssh deploy@": set(),
        "ssh root@": {
            *("--create-home", "--groups", "--shell", "--yes"),
            *("--directory", "--group", "--owner"),
        },
        "ssh-keygen": set(),
        "ssh-keyscan": set(),
    }

    def create(self):
        """Create a server for each environment, with the file of its secrets."""
        server = {"locked": False, "settings": True, "latest": ""}
        server |= {"images": {}, "containers": [], "logged_in": False}
        self.save(dict.fromkeys(self.names.values(), server))
        self.variables |= {
            "IMAGE": self.image(self.commits[-1]),
            "REGISTRY_USER": "puller",
            "REGISTRY_PASSWORD": "very-secret",
        }

    def run_first(self):
        """Run the first commit in both environments."""
        commit, state = self.commits[0], self.state()
        pulled = self.image(commit)
        image = f"{pulled.partition('@')[0]}:{commit}"
        for name in self.names.values():
            state[name] |= {"latest": image, "images": {image: pulled}}
            state[name]["containers"] = [
                {"id": number, "role": role, "image": image, "state": "running"}
                for number, role in (("3", "beat"), ("2", "worker"), ("1", "web"))
            ]
            self.serve(name, commit)
            self.serve(f"{name}-worker", commit)
            self.serve(f"{name}-beat", commit)
        self.save(state)
