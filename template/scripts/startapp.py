"""Make an app in apps/ from scripts/app_template/, and install it.

python -m scripts.startapp blog
"""

import keyword
import re
import shutil
import sys
from pathlib import Path

from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "scripts" / "app_template"
SETTINGS = ROOT / "config" / "settings" / "base.py"
# The list may begin with the line that marks the place of the project's own apps.
INSTALLED_APPS = re.compile(r"INSTALLED_APPS = \[\n(?: *# Yours.*\n)?")


def main():
    name = " ".join(sys.argv[1:])
    settings = SETTINGS.read_text()
    folder = ROOT / "apps" / name
    if not name.isidentifier() or keyword.iskeyword(name):
        sys.exit(
            "Name the app with letters, digits and _, and not with a keyword of Python: "
            "make startapp NAME=blog"
        )
    # Git keeps the bytecode of an app that only another branch has.
    files = (path for path in folder.rglob("*") if path.is_file())
    if any(path.suffix != ".pyc" for path in files) or f'.{name}"' in settings:
        sys.exit(f"The project already has an app {name}. Choose another name.")
    place = INSTALLED_APPS.search(settings)
    if not place:
        sys.exit(f"{SETTINGS} has no line 'INSTALLED_APPS = [' to add the app to.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        call_command("startapp", name, str(folder), template=str(TEMPLATE))
    except CommandError as error:
        folder.rmdir()
        sys.exit(str(error))
    added = f'    "apps.{name}",\n'
    SETTINGS.write_text(settings[: place.end()] + added + settings[place.end() :])
    print(
        f"Made apps/{name}, and added it to INSTALLED_APPS in config/settings/base.py."
    )


if __name__ == "__main__":
    main()
