"""Heroku, with its git server."""

import subprocess

from tests.deployment.platforms.base import Platform

HOOK = """#!/bin/sh
read old new name
exec heroku build {app} $new
"""


class Heroku(Platform):
    tool = "heroku"
    held = "build"
    stuck = {"STAND_IN_HOLDS": "build"}
    secrets = {"HEROKU_API_KEY": "HRKU-very-secret"}
    reads = ["heroku releases --app", "heroku ps", "heroku pg:"]
    fails_before_switch = [
        ("staging", "build", "push --force .* failed"),
        ("staging", "push-phase", "the release phase, which migrates, failed"),
        ("staging", "push-late", "the release phase, which migrates, failed"),
        ("production", "promote", "Heroku did not accept the build slug-"),
        ("production", "promote-phase", "the release phase, .*, failed"),
    ]
    fails_during_rollback = ["rollback", "rollback-phase"]
    fails_at_first = ["push-phase"]

    own_files = {
        "Procfile",
        "deploy/heroku.py",
        "deploy/heroku/package-lock.json",
        "deploy/heroku/package.json",
    }
    trace = "heroku|procfile|dyno"
    job_tools = ["node"]
    needs_files = True
    # The commands of its manual with their options, as they are in the sources of
    # github.com/heroku/cli (11.10).
    commands = {
        "heroku addons:create": {"--app", "--wait"},
        "heroku apps:create": {"--no-remote"},
        "heroku authorizations:create": {"--description", "--scope"},
        "heroku config:set": {"--app"},
        "heroku domains:add": {"--app"},
        "heroku features:enable": {"--app"},
        "heroku labs:enable": {"--app"},
        "heroku login": set(),
        "heroku logs": {"--app", "--tail"},
        "heroku pg:backups:capture": set(),
        "heroku pg:backups:restore": {"--app"},
        "heroku ps:scale": {"--app"},
        "heroku releases": {"--app", "--json", "--num"},
        "heroku releases:output": {"--app"},
        "heroku releases:rollback": {"--app"},
    }

    def create(self):
        """Create each app without a push."""
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
        """Run the first commit in both environments."""
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
