"""One virtual environment for all projects with the same pinned packages.

A project's own `make setup` installs it, once; `.cache/environments` keeps it between runs.
It can be deleted at any time.
A project gets a copy of what mypy has cached about the packages, which is most of its work.
"""

import fcntl
import functools
import hashlib
import importlib.metadata
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.machine import UV, python_version
from tests.support.options import TEMPLATE

ENVIRONMENTS = TEMPLATE / ".cache/environments"
INPUTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-servers.txt",
    ".python-version",
)
LINKED = ("bin", "lib", "production", "pyvenv.cfg", "servers")
# The files that show make what is installed, in the order of their making
STAMPS = ("pyvenv.cfg", "installed", "servers/installed")


def link_environment(project):
    """Give a project an environment that `make setup` finds up to date.

    `.venv` is a folder of the project, so it is ignored by Git and can be removed; its
    content is links to the shared environment.

    Raises AssertionError if the installation fails.
    """
    shared = ENVIRONMENTS / environment_key(project)
    shared.parent.mkdir(parents=True, exist_ok=True)
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stamp in STAMPS:
            # The content is what counts, not when this project was rendered.
            if (shared / stamp).exists():
                (shared / stamp).touch()
        project.make_ok("setup", f"VENV={shared}")
        types = shared / "types"
        if not types.exists():
            cache_types(project, shared, types)
    (project / ".venv").mkdir()
    for name in LINKED:
        (project / ".venv" / name).symlink_to(shared / name)
    (project / ".venv/installed").touch()
    if types.exists():
        shutil.copytree(types, project / ".mypy_cache", dirs_exist_ok=True)


def cache_types(project, shared, types):
    """Cache what mypy reads in the packages of a new environment.

    It begins with the cache of one with the same Python and Django: mypy compares hashes.
    """
    unfinished = types.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    (django,) = shared.glob("lib/*/site-packages/django-*.dist-info")
    for similar in ENVIRONMENTS.glob(f"*/{django.relative_to(shared)}"):
        if (found := similar.parents[3] / "types").exists():
            shutil.copytree(found, unfinished)
            break
    # Mistakes in this project do no harm: mypy caches the packages first.
    project.make("lint", f"VENV={shared}", MYPY_CACHE_DIR=str(unfinished))
    if unfinished.exists():
        unfinished.rename(types)


def link_packages(folder, *names):
    """Link packages of this test run into a new folder; return it, to be a PYTHONPATH.

    A project can use those written in Python, whatever its version is.
    """
    folder.mkdir()
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {
            "..",
            "__pycache__",
        }:
            (folder / top).symlink_to(distribution.locate_file(top))
    return folder


def environment_key(project):
    """Return a hash of all that `make setup` reads and runs, with the Python it finds."""
    texts = [project.read(name) for name in INPUTS]
    python = python_version(project.read(".python-version").strip())
    parts = [uv_version(), python, commands("setup", project.read("Makefile")), *texts]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@functools.cache
def commands(target, makefile):
    """Return the commands that make runs for a target in a project without environment."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Makefile").write_text(makefile)
        for name in INPUTS:
            Path(folder, name).touch()
        done = subprocess.run(
            [
                "make",
                "--directory",
                folder,
                "--no-print-directory",
                "--dry-run",
                target,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout


@functools.cache
def uv_version():
    """Return the version of the uv that installs the environments."""
    done = subprocess.run([UV, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.strip()
