#!/usr/bin/env python
"""Django's command line. It means production unless DJANGO_SETTINGS_MODULE says otherwise.

`make setup` writes that variable to .env, which only development has.
"""

import os
import sys
from importlib.util import find_spec

from django.core.management import execute_from_command_line

# With these settings, commands have the embedded servers, unless they need none.
DEVELOPMENT = {"config.settings.ci", "config.settings.local"}
NEED_NONE = {"-h", "--help", "--version", "help", "startapp", "startproject", "version"}


def main():
    # Production may have no scripts, no .env, and no embedded servers.
    if find_spec("scripts"):
        from scripts.env_file import read_env_file

        read_env_file()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    if needs_servers(sys.argv[1:]) and find_spec("scripts"):
        from scripts.services import provide

        provide()
    execute_from_command_line(sys.argv)


def needs_servers(arguments):
    if os.environ["DJANGO_SETTINGS_MODULE"] not in DEVELOPMENT:
        return False
    return arguments and NEED_NONE.isdisjoint([arguments[0], *arguments[-1:]])


if __name__ == "__main__":
    main()
