"""Measure what docs/speed.md says: `make bench`.

Seconds depend on the machine, so what is compared runs side by side, in turns, and what
counts is the ratio of the medians.
"""

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from options import REDIS_STATES, TEMPLATE
from project import Project

COPIER = Path(sys.prefix, "bin", "copier")
ROUNDS = 5
EMPTY = {
    "copier.yml": "_subdirectory: template\nname:\n  type: str\n  default: x\n",
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml -}}\n",
}


def main():
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        compare_generation(Path(folder))
        for state in ("none", "redis-celery-channels"):
            compare_ci(Path(folder), state)


def seconds(function, *arguments):
    """Return how long a call takes, in seconds."""
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def report(what, ours, baseline, limit):
    """Print the medians of two lists of seconds, their ratio and its limit."""
    ours, baseline = statistics.median(ours), statistics.median(baseline)
    ratio = ours / baseline
    print(f"{what}: {ours:.2f} s / {baseline:.2f} s = {ratio:.2f} (at most {limit})")


# Generation


def compare_generation(folder):
    """Compare a copy of this template with one of an empty one-question template.

    A template of the same files without questions or tags shows what Copier itself costs.
    """
    ours, empty, static = folder / "ours", folder / "empty", folder / "static"
    git("clone", "--quiet", "--no-local", TEMPLATE, ours)  # packed, as from a host
    for template in (empty, static):
        for name, text in EMPTY.items():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            (template / name).write_text(text)
    copy(ours, folder / "project")
    (folder / "project" / ".copier-answers.yml").unlink()
    shutil.copytree(folder / "project", static / "template", dirs_exist_ok=True)
    for template in (empty, static):
        git("init", "--quiet", template)
        git("-C", template, "add", "--all", "--force")
        git("-C", template, "commit", "--quiet", "--message", "Begin")
    copies = {ours: [], static: [], empty: []}
    for number in range(ROUNDS):
        for template, times in copies.items():
            times.append(seconds(copy, template, folder / f"{template.name}-{number}"))
    report(
        "copier copy --defaults / an empty template", copies[ours], copies[empty], 1.5
    )
    report(
        "the same files, static / an empty template", copies[static], copies[empty], 1.5
    )


def copy(template, destination):
    subprocess.run(
        [COPIER, "copy", "--quiet", "--defaults", template, destination], check=True
    )


def git(*command):
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
    subprocess.run(["git", *identity, *command], check=True)


# Gates


def compare_ci(folder, state):
    """Compare a warm `make ci` with its tools run by hand on running servers."""
    project = Project(folder / state)
    data = [f"--data={name}={value}" for name, value in REDIS_STATES[state].items()]
    subprocess.run(
        [COPIER, "copy", "--quiet", "--defaults", *data, TEMPLATE, project.path],
        check=True,
    )
    print(f"{state}: make setup {seconds(green, project, 'setup'):.1f} s", end=", ")
    print(f"first make ci {seconds(green, project, 'ci'):.1f} s")
    with project.services() as variables:
        whole, parts = [], []
        for _ in range(ROUNDS):
            whole.append(seconds(green, project, "ci"))
            parts.append(sum(seconds(*tool) for tool in tools(project, variables)))
    report(f"{state}: make ci / its tools by hand", whole, parts, 1.3)


def green(project, target):
    done = project.make(target)
    assert done.returncode == 0, done.stdout


def tools(project, variables):
    """Return a call for each tool that `make ci` runs, as a person would type it."""
    ci = {"DJANGO_SETTINGS_MODULE": "config.settings.ci", "PYTHONPATH": "."}
    production = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SITE_URL": "https://example.com",
        "DJANGO_SECRET_KEY": "a-key-for-the-benchmark-of-fifty-characters-or-more-1234",
    }
    manage = ".venv/bin/python manage.py"
    cov = "--cov --cov-report=term --cov-report=xml:reports/coverage.xml"
    for command, settings in (
        (".venv/bin/ruff check .", {}),
        (".venv/bin/black --check .", {}),
        (f"{manage} check --deploy --fail-level WARNING", production),
        (f"{manage} makemigrations --check --dry-run", ci),
        (".venv/bin/python scripts/fresh_migrate.py", ci),
        (f".venv/bin/pytest {cov} --junit-xml=reports/junit.xml", ci),
    ):
        yield run, project, command, variables | settings


def run(project, command, variables):
    done = project.run(*shlex.split(command), **variables)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    main()
