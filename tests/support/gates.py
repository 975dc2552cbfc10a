"""Run `make ci` once for all projects that give it the same input."""

import hashlib
import re
from pathlib import Path

from tests.support.environments import commands, environment_key

# What the gates open next to the code, and to the Makefile, whose commands are compared.
SETTINGS = (".env.example", ".gitignore")
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-servers.txt")
PAGES = ("static/", "templates/")
# Code that only `make lint` opens. What Ruff and Black find in it is part of the tests
# of rendering, what mypy finds of test_lint.py: each runs them on all of this code.
ONLY_LINTED = "deploy/"
# Lines of the Makefile that change a run of `make ci`, and that no dry run prints
SETTING = re.compile(
    r"^(?!\t).*(?:\bexport\b|\b(?:SHELL|MAKEFLAGS)\b|^\.(?!PHONY\b)[A-Z_]+).*",
    re.MULTILINE,
)
# A system call with a path: the folder that a relative path begins in, and the path. It
# succeeded, or another process interrupted its line, which may not yet have the result.
CALL = re.compile(
    r'^\d+ +\w+\((?:(?:AT_FDCWD|\d+)<(.*?)>, )?"(.*?)".* (?:= \d|<unfinished)'
)


def is_input(name):
    """Return whether the outcome of `make ci` may depend on this file of a project."""
    code = name.endswith((".py", ".toml")) and not name.startswith(ONLY_LINTED)
    return code or name in (*SETTINGS, *LOCKS) or name.startswith(PAGES)


def gates(makefile):
    """Return the gates of `make ci`, in their order."""
    return (
        re.search(r"^GATES := (.*)", makefile, re.MULTILINE)[1]
        .replace(",", " ")
        .split()
    )


def ci_key(project):
    """Return everything in a project and on this machine that `make ci` depends on."""
    makefile = project.read("Makefile")
    return {
        "files": {
            name: hashlib.sha256(project.read(name).encode()).hexdigest()
            for name in sorted(project.files())
            if is_input(name)
        },
        "commands": [commands(it, makefile) for it in ("ci", *gates(makefile))],
        "settings": SETTING.findall(makefile),
        "environment": environment_key(project),
    }


def run_ci(project):
    """Run `make ci`, in which each gate has to pass without a warning; return nothing.

    Raises AssertionError, with all that it printed, if it fails.
    """
    names = gates(project.read("Makefile"))
    planned = project.make_ok("--dry-run", *names).stdout
    for tool in ("ruff", "black", "mypy", "check --deploy", "makemigrations", "pytest"):
        assert tool in planned
    try:
        output = project.make_ok("ci").stdout
    finally:
        project.make("services-stop")
    for name in names:
        assert re.search(rf"^{name} +passed", output, re.MULTILINE), output
    assert re.search(r"  \d+ passed, 100% covered$", output, re.MULTILINE), output
    assert "warn" not in output.lower(), output


def files_opened(project, trace, *targets):
    """Run make under strace; return the files of the new project that a process opened.

    The services of the project count, too. `trace` is a new file for what strace writes.
    """
    names = project.files()
    project.installed()
    for name in names:
        # mypy may know the code from the installation.
        if name.endswith(".py"):
            (project / name).touch()
    strace = ("strace", "--follow-forks", "--decode-fds=path", "--seccomp-bpf")
    strace += ("--string-limit=4096", "--signal=none", "--trace=open,openat,execve")
    try:
        project.run_ok(*strace, f"--output={trace}", "make", *targets)
    finally:
        project.make("services-stop")
    with Path(trace).open(errors="replace") as lines:
        return paths_in(lines, project.path) & names


def paths_in(lines, folder):
    """Return the paths in a folder that the lines of a trace name, relative to it."""
    calls = [call.groups() for call in map(CALL.match, lines) if call]
    paths = {folder.joinpath(place or "", path) for place, path in calls}
    return {
        str(path.relative_to(folder)) for path in paths if path.is_relative_to(folder)
    }
