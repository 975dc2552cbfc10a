"""The servers that commands need: a package for each.

VARIABLES       the variables that name the embedded server, by name
find_missing()  return those to set, because the environment names no other server

Its module `embedded` runs the embedded server:

PID_FILE        the file to which the running program writes its process id
command(...)    return the command that runs it, with its socket in the given folder
is_ready(...)   return whether the one with its socket in the given folder can be used

Its module `probe` connects to the servers that the environment or the settings name:

FAILURES        the errors of a server that gives no connection
find_servers()  return a function that connects, by the server's name and address
"""

import os
import re
import subprocess
import sys
import tomllib
from glob import glob
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from scripts.state import SOCKETS

# The packages of the embedded servers, for whose programs make setup makes this folder
PACKAGES = Path(sys.prefix, "servers")
# Where Debian, Fedora, and Homebrew put the servers that are not on the PATH
FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/*/bin",
    "usr/local/opt/*/bin",
)


class Unavailable(Exception):
    """This machine cannot run a server, for a reason of one sentence."""


def unavailable(server, variable):
    """Return the error of a server of which this machine runs no program."""
    # No setup installs one on Alpine Linux.
    has_packages = (PACKAGES / "installed").exists() or glob("/lib/ld-musl-*")
    setup = "" if has_packages else "run make setup, "
    return Unavailable(
        f"No {server} runs on this machine: {setup}install one, or set {variable}."
    )


def load(module=""):
    """Return each server's package, or its module of this name."""
    names = [f"{__name__}.{info.name}.{module}" for info in iter_modules(__path__)]
    return [import_module(name.rstrip(".")) for name in names]


def read_variables(package):
    """Return the variables of a server; {folder} in a value is the folder of its socket."""
    variables = tomllib.loads(Path(package).with_name("variables.toml").read_text())
    return {name: value.format(folder=SOCKETS) for name, value in variables.items()}


def find_addresses():
    """Return the variables of all embedded servers."""
    return {
        name: value for server in load() for name, value in server.VARIABLES.items()
    }


def find_programs(path, *names):
    """Return the programs of a server that run on this machine, each with its version.

    path    the program in PACKAGES, as a pattern: the first, so that all developers use it
    names   the names of this machine's own programs
    """
    places = [Path(folder) for folder in os.get_exec_path()]
    for folder in FOLDERS:
        places += sorted(Path("/").glob(folder), key=read_version, reverse=True)
    own = [place / name for name in names for place in places]
    versions = {it: find_version(it) for it in [*PACKAGES.glob(path), *own]}
    return {program: version for program, version in versions.items() if version}


def find_version(program):
    """Return the major version of a program, or None if it does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True)
    except OSError:
        return None
    return read_version(done.stdout) if done.returncode == 0 else None


def read_version(text):
    """Return the first number in a text, or 0."""
    number = re.search(r"\d+", str(text))
    return int(number[0]) if number else 0
