"""One virtual environment for all projects with the same pinned packages.

A project's own `make setup` installs it, once; `.cache/environments` keeps it between runs.
It can be deleted at any time.
A new environment begins with the bytecode of a similar one, and with what mypy has cached about
its packages; a project gets a copy of the latter. Both are most of the work of a first `make ci`.
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

    Raises AssertionError if the installation fails, or a test has changed the environment.
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
        refuse_changed(shared)
        types = shared / "types"
        if not types.exists():
            similar = find_similar(shared)
            if similar:
                link_bytecode(similar, shared)
            cache_types(project, shared, types, similar)
    (project / ".venv").mkdir()
    for name in LINKED:
        (project / ".venv" / name).symlink_to(shared / name)
    (project / ".venv/installed").touch()
    if types.exists():
        shutil.copytree(types, project / ".mypy_cache", dirs_exist_ok=True)


def refuse_changed(environment):
    """Raise AssertionError if a project has installed packages into a shared environment.

    Other tests may use it at that moment, when a package is only half there.
    """
    unchanged = environment / "unchanged"
    if not unchanged.exists():
        unchanged.touch()
    since = unchanged.stat().st_mtime
    changed = [
        path.name
        for packages in ("lib", "production/lib")
        for path in environment.glob(f"{packages}/*/site-packages/*.dist-info")
        if path.stat().st_mtime > since
    ]
    assert not changed, (
        f"A test installed {changed} into the shared {environment}: it needs an environment"
        " of its own, by `make setup`. Delete the shared one."
    )


def find_similar(environment):
    """Return the environment with the most packages that has the same Python and Django.

    Return None if there is no other one that is complete.
    """
    (django,) = environment.glob("lib/*/site-packages/django-*.dist-info")
    found = {
        same.parents[3]: len(list(same.parent.glob("*.dist-info")))
        for same in ENVIRONMENTS.glob(f"*/{django.relative_to(environment)}")
        if (same.parents[3] / "types").exists()
    }
    return max(found, key=found.get, default=None)


def link_bytecode(old, new):
    """Link the bytecode of an environment into a new one, for the modules of both.

    Python compiles a module again if its time or size is not that in its bytecode.
    """
    for packages in ("lib", "production/lib"):
        for folder in (new / packages).glob("python*/site-packages"):
            for path in (old / folder.relative_to(new)).rglob("*.pyc"):
                link = new / path.relative_to(old)
                if link.parent.parent.is_dir() and not link.exists():
                    link.parent.mkdir(exist_ok=True)
                    link.hardlink_to(path)


def cache_types(project, shared, types, similar):
    """Cache what mypy reads in the packages of a new environment.

    It begins with the cache of a similar one, if there is any: mypy compares hashes.
    """
    unfinished = types.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    if similar:
        shutil.copytree(similar / "types", unfinished)
    # Mistakes in this project do no harm: mypy caches the packages first.
    project.run(shared / "bin/mypy", ".", MYPY_CACHE_DIR=str(unfinished))
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
