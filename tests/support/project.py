"""A rendered project, as the tests see it."""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path

import yaml

from tests.support.environments import link_environment

# What a shell at work has; everything else would leak from this test run into the project.
KEPT = {"HOME", "LANG", "PATH", "TERM", "TMPDIR", "USER"}
KEPT_PREFIXES = ("PIP_", "SSL_", "UV_")
# It keeps GitHub's key `on` a string, and is written in C where the machine has libyaml.
YAML_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
SHORT_TEST = "def test_truth():\n    assert True\n"


def clean_environment(**variables):
    """Return the environment of an ordinary shell, with the given variables on top."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
    return kept | variables


def closed_port():
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Project:
    """A rendered project in a folder of its own."""

    def __init__(self, path):
        self.path = Path(path)

    def __truediv__(self, name):
        return self.path / name

    def has(self, name):
        """Return whether the project has a file."""
        return (self.path / name).is_file()

    def read(self, name):
        return (self.path / name).read_text()

    def toml(self, name):
        return tomllib.loads(self.read(name))

    def yaml(self, name):
        return yaml.load(self.read(name), YAML_LOADER)

    def documents(self, name):
        """Return every document of a YAML file: Kubernetes' files have several."""
        return list(yaml.load_all(self.read(name), YAML_LOADER))

    def copy_to(self, folder):
        """Return a copy of the project in a new folder, for a test to change."""
        return Project(shutil.copytree(self.path, folder, symlinks=True))

    def files(self):
        """Return the path of every file, relative to the project."""
        return {
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def edit(self, name, old, new):
        """Replace a text that is in the file exactly once."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        (self.path / name).write_text(text.replace(old, new))

    def run(self, *command, timeout=600, **variables):
        """Run a command in the project; return its exit code and all that it printed."""
        return subprocess.run(
            command,
            cwd=self.path,
            env=clean_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def make(self, *targets, **variables):
        """Run make; return its exit code and all that it printed."""
        return self.run("make", *targets, **variables)

    def run_ok(self, *command, **options):
        """Run a command that has to succeed; return what `run` does."""
        done = self.run(*command, **options)
        assert done.returncode == 0, done.stdout
        return done

    def make_ok(self, *targets, **variables):
        """Run make, which has to succeed; return what `make` does."""
        return self.run_ok("make", *targets, **variables)

    def installed(self):
        """Link the environment of these pinned packages, shared by all tests; return the project.

        A test that installs into its environment runs `make setup` instead.
        """
        link_environment(self)
        self.make_ok("setup")
        return self

    def with_one_short_test(self, text=SHORT_TEST):
        """Replace the project's tests by one; return the project."""
        shutil.rmtree(self.path / "tests")
        (self.path / "tests").mkdir()
        (self.path / "tests/test_truth.py").write_text(text)
        return self

    @contextlib.contextmanager
    def services(self):
        """Keep the embedded services running; yield the variables that name them."""
        process = subprocess.Popen(
            [".venv/bin/python", "-m", "scripts.services", "up"],
            cwd=self.path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = iter(process.stdout.readline, "Running until Ctrl-C.\n")
        words = [shlex.split(line)[1].partition("=") for line in lines]
        try:
            yield {name: value for name, _, value in words}
        finally:
            process.terminate()
            process.wait()
            self.make("services-stop")

    def commit(self, message="Begin"):
        """Commit all changes, in a new repository if there is none; return the commit."""
        if not (self.path / ".git").exists():
            self.run("git", "init", "--initial-branch=main")
        self.run("git", "add", "--all")
        self.run_ok("git", *IDENTITY, "commit", "--message", message)
        return self.head()

    def tag(self, name):
        """Tag the newest commit, as `make release` does."""
        self.run_ok("git", *IDENTITY, "tag", "--annotate", "--message", name, name)

    def commit_each(self, texts):
        """Make a commit for each of these texts; return the commits."""
        commits = []
        for text in texts:
            (self.path / "NOTES").write_text(text)
            commits.append(self.commit(text))
        return commits

    def head(self):
        """Return the id of the newest commit."""
        return self.run("git", "rev-parse", "HEAD").stdout.strip()
