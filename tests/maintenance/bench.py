"""Measure the figures of docs/speed.md: `make bench`.

Seconds depend on the machine, so the compared commands run in turns, and the result is
the ratio of the medians.
"""

import itertools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.pipelines.model import PIPELINE
from tests.support.gates import ci_key
from tests.support.options import EVERY_COMBINATION, REDIS_STATES, TEMPLATE
from tests.support.project import Project
from tests.support.rendering import Rendered, renders

COPIER = Path(sys.prefix, "bin", "copier")
ROUNDS = 9
PIPELINE_ROUNDS = 3
EMPTY = {
    "copier.yml": "_subdirectory: template\nname:\n  type: str\n  default: x\n",
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml -}}\n",
}


def main():
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](Path(folder))


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

    Two more templates show what Copier itself costs: `files` holds the generated files as they
    are, `plain` asks our questions too; neither has a tag or a validator.
    """
    names = ("empty", "files", "plain", "ours")
    templates = {name: folder / name for name in names}
    git("clone", "--quiet", "--no-local", TEMPLATE, templates["ours"])
    copy(templates["ours"], folder / "project")
    answers = (folder / "project" / ".copier-answers.yml").read_text()
    (folder / "project" / ".copier-answers.yml").unlink()
    for name in names[:3]:
        write_template(templates[name])
    for name in names[1:3]:
        shutil.copytree(
            folder / "project", templates[name] / "template", dirs_exist_ok=True
        )
    with Path(templates["plain"], "copier.yml").open("w") as file:
        yaml.safe_dump(plain_questions(yaml.safe_load(answers)), file, sort_keys=False)
    for name in names[:3]:
        git("init", "--quiet", templates[name])
        git("-C", templates[name], "add", "--all", "--force")
        git("-C", templates[name], "commit", "--quiet", "--message", "Begin")
    times = {name: [] for name in names}
    for number in range(ROUNDS):
        for name, template in templates.items():
            times[name].append(seconds(copy, template, folder / f"{name}-{number}"))
    for name, what in (
        ("ours", "copier copy --defaults"),
        ("plain", "the same questions and files, without a tag"),
        ("files", "the same files, without a tag or question"),
    ):
        report(f"{what} / an empty template", times[name], times["empty"], 1.5)


def write_template(folder):
    for name, text in EMPTY.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def plain_questions(answers):
    """Return a copier.yml with our questions, each with its answer as its plain default."""
    ours = yaml.safe_load(TEMPLATE.joinpath("copier.yml").read_text())
    plain = {"_subdirectory": "template"}
    for name, question in ours.items():
        if not name.startswith("_"):
            plain[name] = question | {"default": answers.get(name, False)}
            plain[name].pop("validator", None)
    return plain


# Updates


def compare_updates(folder):
    """Compare template-update and template-status with a copy of the template.

    They run with the same Copier, and without `make lock` and `make lint` after the merge.
    """
    template, project = folder / "template", Project(folder / "project")
    git("clone", "--quiet", "--no-local", TEMPLATE, template)
    copy(template, project.path)
    project.commit()
    with (template / "template" / "README.md.jinja").open("a") as file:
        file.write("A change\n")
    git("-C", template, "commit", "--quiet", "--all", "--message", "Change")
    times = {"copy": [], "update": [], "status": []}
    for number in range(ROUNDS):
        copies = folder / f"copy-{number}"
        times["copy"].append(seconds(copy, template, copies, "--vcs-ref=HEAD"))
        for command, options in (
            ("status", []),
            ("update", ["--merge-only", "--vcs-ref=HEAD"]),
        ):
            script = [sys.executable, "-m", "scripts.template", command, *options]
            times[command].append(seconds(project.run_ok, *script))
        project.run_ok("git", "reset", "--quiet", "--hard")
        project.run_ok("git", "switch", "--quiet", "main")
        project.run_ok("git", "branch", "--quiet", "-D", "template-update")
    for command, limit in (("update", 2.5), ("status", 1.3)):
        what = f"make template-{command} / copier copy"
        report(what, times[command], times["copy"], limit)


def copy(template, destination, *options):
    subprocess.run(
        [COPIER, "copy", "--quiet", "--defaults", *options, template, destination],
        check=True,
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
    print(f"{state}: make setup {seconds(project.make_ok, 'setup'):.1f} s", end=", ")
    print(f"first make ci {seconds(project.make_ok, 'ci'):.1f} s")
    with project.services() as variables:
        whole, parts = [], []
        for _ in range(ROUNDS):
            whole.append(seconds(project.make_ok, "ci"))
            parts.append(sum(seconds(*tool) for tool in tools(project, variables)))
    report(f"{state}: make ci / its tools by hand", whole, parts, 1.3)


def compare_pipeline(folder, state):
    """Compare the critical path of the pipeline with one job that installs with plain pip.

    Both begin with a fresh checkout, running servers, and a cache of what they download.
    """
    host = Project(folder / state)
    host.commit()
    checkouts, paths, baselines = itertools.count(), [], []
    with host.services() as variables:

        def checkout():
            project = Project(folder / f"{state}-{next(checkouts)}")
            git("clone", "--quiet", host.path, project.path)
            return project

        def path():
            for job in ("lint", "test"):  # one after the other; audit runs in parallel
                project = checkout()
                for command in PIPELINE["main"][job].run:
                    run(project, command, variables)

        def baseline():
            project = checkout()
            run(project, f"{sys.executable} -m venv .venv", {})
            pins = "--require-hashes --requirement requirements-dev.txt"
            run(project, f".venv/bin/pip install --quiet {pins}", {})
            for tool in tools(project, variables):
                tool[0](*tool[1:])

        path()
        for _ in range(PIPELINE_ROUNDS):
            paths.append(seconds(path))
            baselines.append(seconds(baseline))
    report(f"{state}: critical path / one job with plain pip", paths, baselines, 0.5)


def compare_gates(folder):
    """Compare the gates and the pipeline with the same tools, without and with Redis."""
    for state in ("none", "redis-celery-channels"):
        compare_ci(folder, state)
        compare_pipeline(folder, state)


def tools(project, variables):
    """Return a call for each tool that `make ci` runs, as a person would type it."""
    ci = {"DJANGO_SETTINGS_MODULE": "config.settings.ci", "PYTHONPATH": "."}
    production = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SITE_URL": "https://example.com",
        "DJANGO_SECRET_KEY": "a-key-for-the-benchmark-of-fifty-characters-or-more-1234",
    }
    manage = ".venv/bin/python manage.py"
    production_manage = ".venv/production/bin/python manage.py"
    cov = "--cov --cov-report=term --cov-report=xml:reports/coverage.xml"
    for command, settings in (
        (".venv/bin/ruff check .", {}),
        (".venv/bin/black --check .", {}),
        (".venv/bin/mypy .", ci),
        (f"{production_manage} check --deploy --fail-level WARNING", production),
        (f"{manage} makemigrations --check --dry-run", ci),
        (".venv/bin/python -m scripts.check_migrations", ci),
        (f".venv/bin/pytest {cov} --junit-xml=reports/junit.xml", ci),
    ):
        yield run, project, command, variables | settings


def run(project, command, variables):
    """Run a command, given as one line, that has to succeed."""
    project.run_ok(*shlex.split(command), **variables)


# The suite


def measure_suite(folder):
    """Run the whole suite without kept verdicts, and print where its time goes."""
    project = Project(folder / "project")
    copy(TEMPLATE, project.path)
    own, linked = [], []
    for number in range(PIPELINE_ROUNDS):
        copies = [
            project.copy_to(folder / f"{name}-{number}") for name in ("own", "linked")
        ]
        copies[1].installed()
        for fresh, times in zip(copies, (own, linked), strict=True):
            times.append(cpu(fresh.make_ok, "ci"))
            fresh.make("services-stop")
    report("first make ci in a linked environment / in its own", linked, own, 1)
    renders.render(EVERY_COMBINATION.values())
    rendered = [Rendered(renders, it, folder) for it in EVERY_COMBINATION.values()]
    inputs = {json.dumps(ci_key(it), sort_keys=True) for it in rendered}
    print(f"{len(rendered)} combinations give make ci {len(inputs)} distinct inputs")
    options = ["--quiet", "--numprocesses=auto", "--dist=loadgroup"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.maintenance.shares", *options],
        cwd=TEMPLATE,
        env=os.environ | {"FRESH": "1"},
    )


def cpu(function, *arguments):
    """Return the CPU time of the commands that a call runs, in seconds."""
    before = os.times()
    function(*arguments)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


PARTS = {
    "generation": compare_generation,
    "updates": compare_updates,
    "gates": compare_gates,
    "suite": measure_suite,
}

if __name__ == "__main__":
    main()
