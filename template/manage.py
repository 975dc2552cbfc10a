#!/usr/bin/env python
"""Django's command line. It means production unless DJANGO_SETTINGS_MODULE says otherwise.

`make setup` writes that variable to .env, which only development has.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from django.core.management import execute_from_command_line
from dotenv import load_dotenv

# With these settings, commands have the embedded servers, unless they need none.
DEVELOPMENT = {"config.settings.ci", "config.settings.local"}
NEED_NONE = {"-h", "--help", "--version", "help", "startapp", "startproject", "version"}


def main():
    load_dotenv(Path(__file__).with_name(".env"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    if os.environ["DJANGO_SETTINGS_MODULE"] in DEVELOPMENT:
        start_servers(sys.argv[1:])
    execute_from_command_line(sys.argv)


def start_servers(arguments):
    is_served = arguments and NEED_NONE.isdisjoint([arguments[0], *arguments[-1:]])
    # An image has no scripts, and no embedded servers.
    if is_served and find_spec("scripts"):
        from scripts.services import provide

        provide()


if __name__ == "__main__":
    main()
