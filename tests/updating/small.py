"""A template of a few files, whose update has each kind of change, and functions that run the update."""

import itertools
import json
import sys

from tests.support.options import TEMPLATE
from tests.support.project import Project

SCRIPT = TEMPLATE / "template/scripts/template.py"
COPIER = """\
_subdirectory: template
_exclude:
  - "{% if not extra | default(true) %}extra{% endif %}"
project_slug: {type: str, default: shop, validator: "{% if project_slug == 'class' %}Reserved.{% endif %}"}
extra: {type: bool, default: true}
size: {type: str, default: small, when: "{{ extra }}"}
"""
NEW_QUESTION = "color: {type: str, default: blue}\n"
# `make lock` shows that it ran, and `make lint` fails in a project with a file `broken`.
MAKEFILE = (
    "lock:\n\techo locked > locked$(ARGS)\n\nlint:\n\ttest ! -e broken\n\nci: lint\n"
)
YOURS = "# Yours: an update changes nothing below this line.\n"


def text(name, edit=""):
    """Return ten lines that no other file has; an edit of `1` replaces line 1, and so on."""
    return "".join(
        f"{edit}\n" if edit[:1] == str(line) else f"{name} {line}\n"
        for line in range(10)
    )


FIRST = {
    "copier.yml": COPIER,
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml -}}",
    "template/Makefile": MAKEFILE,
    **{
        f"template/{name}": text(name)
        for name in ("changed", "same", "removed", "folder/old name", "extra")
    },
    "template/extended": text("extended") + YOURS,
    "template/requirements.txt": "alpha==1.0\nbeta==1.0\n",
    "template/own/.gitignore": "*.pyc\nsecret*\n",
}
# What the second release changes. None removes a file.
SECOND = {
    "copier.yml": COPIER + NEW_QUESTION,
    "template/changed": text("changed", "1 new"),
    "template/removed": None,
    "template/folder/old name": None,
    "template/folder/new name": text("folder/old name", "1 new"),
    "template/extra": text("extra", "1 new"),
    "template/extended": text("extended", "1 new") + YOURS,
    "template/added": text("added"),
    "template/requirements.txt": "alpha==1.1\nbeta==1.0\ngamma==1.0\n",
    "template/own/.gitignore": "*.pyc\n",
}


def write(project, files):
    for name, content in files.items():
        path = project / name
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


def make_template(folder):
    """Return a repository with the first release, tagged v1.0.0."""
    template = Project(folder)
    folder.mkdir()
    release(template, "v1.0.0", FIRST)
    return template


def release(template, version, files):
    """Commit changes of a template as a release."""
    write(template, files)
    template.commit(version)
    template.tag(version)


def copy(template, folder, *options):
    """Return a committed project of the newest release."""
    command = (sys.executable, "-m", "copier", "copy", "--defaults", "--quiet")
    template.run_ok(*command, *options, str(template.path), str(folder))
    project = Project(folder)
    project.commit()
    return project


def run(project, command, *options, **variables):
    """Run a command of the script in the project; return its exit code and what it printed."""
    return project.run(sys.executable, str(SCRIPT), command, *options, **variables)


def report(project, command, *options, code=0, **variables):
    """Run a command of the script, which must exit with this code; return its report."""
    done = run(project, command, *options, "--json", **variables)
    assert done.returncode == code, done.stdout
    # The steps of a person are not for a script.
    assert "hen run " not in done.stdout
    return json.loads(done.stdout[done.stdout.index("{\n") :])


def state(project):
    """Return all that an update could change: the files, the branch, and what git has staged."""
    files = {
        name: (project / name).read_bytes()
        for name in project.files()
        if not name.startswith(".git/")
    }
    commands = ("status --porcelain", "branch --all", "rev-parse HEAD")
    return files, [project.run("git", *it.split()).stdout for it in commands]


def undo(project, output):
    """Run the commands that an update has printed to undo it."""
    _, _, rest = output.partition("even if it is interrupted:\n")
    commands = itertools.takewhile(
        lambda line: line.startswith("  "), rest.splitlines()
    )
    project.run_ok("bash", "-euc", "\n".join(commands))
