"""`copier update` makes an old project equal to a new one, with Copier's own command line."""

import shutil
import subprocess
import sys
from fnmatch import fnmatch

import jinja2
import pytest
import yaml
from jinja2 import meta

from tests.support.machine import give_up
from tests.support.options import CONFIGURATION, QUESTIONS, TEMPLATE
from tests.support.project import Project

COPIER = (sys.executable, "-m", "copier")
ANSWERS = ".copier-answers.yml"
REDIS = {"use_redis": True, "use_celery": True, "use_channels": True}
# Commits without a release, far apart, and answers to questions that they ask
HISTORY = {
    "4405c54": REDIS,
    "6393185": {"use_docker": True, "deploy_target": "kubernetes", "use_redis": True},
    "c4625d4": {"ci_provider": "gitlab", "deploy_target": "heroku"},
}
RELEASES = subprocess.run(
    ["git", "tag"], cwd=TEMPLATE, capture_output=True, text=True
).stdout.split()
EXCLUDE = "\n".join(CONFIGURATION["_exclude"])
JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
# Copier itself sets the names that begin with an underscore.
NAMES = sorted(
    name
    for name in meta.find_undeclared_variables(JINJA.parse(EXCLUDE))
    if not name.startswith("_")
)


def excluded(values, operation="copy"):
    """Return the lines of `_exclude` for these values of its names."""
    text = JINJA.from_string(EXCLUDE).render(_copier_operation=operation, **values)
    return set(filter(None, text.splitlines()))


def copier(project, command, *options):
    """Run Copier's command line, which has to succeed, without the settings of this user."""
    environment = {"COPIER_SETTINGS_PATH": "/dev/null"}
    project.run_ok(*COPIER, command, "--defaults", *options, **environment)


@pytest.fixture(scope="module")
def history(template, tmp_path_factory):
    """Return a clone of this repository whose newest commit is the template as it is here."""
    clone = Project(tmp_path_factory.mktemp("history"))
    clone.run_ok("git", "clone", "--quiet", "--no-checkout", str(TEMPLATE), ".")
    shutil.copytree(template, clone.path, dirs_exist_ok=True)
    clone.commit("The template as it is here")
    return clone


# `copier update` renders the new `_exclude` for the old version, too.


def test_exclude_reads_answers():
    assert {"use_docker", "has_worker", "other_files"} <= set(NAMES)


def test_old_version_without_answers_excludes_nothing():
    assert excluded({}) == {"__pycache__", ".DS_Store"}


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_old_version_without_an_answer_excludes_nothing_more(name, value):
    values = dict.fromkeys(NAMES, value)
    missing = {key: values[key] for key in NAMES if key != name}

    assert excluded(missing) <= excluded(values)


@pytest.mark.slow
@pytest.mark.seconds(8)
@pytest.mark.parametrize("version", [*HISTORY, *RELEASES])
def test_updated_old_project_equals_a_new_one(history, rendered, tmp_path, version):
    if history.run("git", "cat-file", "-e", version).returncode:
        give_up(f"this clone lacks the commit {version}: run git fetch --unshallow")
    answers = HISTORY.get(version, {})
    data = [f"--data={name}={value}" for name, value in answers.items()]
    project = Project(tmp_path / "project")
    source = str(history.path)
    copier(history, "copy", *data, f"--vcs-ref={version}", source, str(project.path))
    project.commit()

    copier(project, "update", "--vcs-ref=HEAD")

    now = yaml.safe_load(project.read(ANSWERS))
    described = history.run("git", "describe", "--tags", "--always").stdout.strip()
    assert now["_commit"] == described
    assert answers.items() <= now.items()
    new = rendered(**{name: it for name, it in now.items() if name in QUESTIONS})
    shutil.rmtree(project / ".git")
    # Copier writes some files only on copy; the answers name this copy of the template.
    seeded = [line[1:] for line in excluded({}, "update") - excluded({})]
    compared = {
        name
        for name in project.files() | new.files()
        if not any(fnmatch(name, pattern) for pattern in [ANSWERS, *seeded])
    }
    assert project.files() & compared == new.files() & compared
    for name in compared:
        assert project.read(name) == new.read(name), name
