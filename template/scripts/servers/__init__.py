"""The servers that commands need: a package for each.

VARIABLES       the variables that name the embedded server, by name
find_missing()  return those to set, because the environment names no other server

Its module `embedded` runs the embedded server:

PROGRAM         the path of the program
PID_FILE        the file to which the running program writes its process id
command(...)    return the command that runs it, with its socket in the given folder
is_ready(...)   return whether the one with its socket in the given folder can be used

Its module `probe` connects to the servers that the environment or the settings name:

FAILURES        the errors of a server that gives no connection
find_servers()  return a function that connects, by the server's name and address
"""

import tomllib
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules


def load(module=""):
    """Return each server's package, or its module of this name."""
    names = [f"{__name__}.{info.name}.{module}" for info in iter_modules(__path__)]
    return [import_module(name.rstrip(".")) for name in names]


def read_variables(package):
    """Return the variables of a server; {folder} in a value is the folder of its socket."""
    return tomllib.loads(Path(package).with_name("variables.toml").read_text())
