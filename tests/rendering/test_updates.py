"""`copier update` makes an old project equal to a new one, with Copier's own command line."""

import itertools
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch

import jinja2
import pytest
import yaml
from jinja2 import meta

from tests.support.machine import give_up
from tests.support.options import (
    CONFIGURATION,
    QUESTIONS,
    TEMPLATE,
    choices,
    validators,
)
from tests.support.project import Project

COPIER = (sys.executable, "-m", "copier")
SCRIPT = TEMPLATE / "template/scripts/template.py"
ANSWERS = ".copier-answers.yml"
PYTHON = "python_version"
OLDEST = choices(PYTHON)[0]
REDIS = {"use_redis": True, "use_celery": True, "use_channels": True}
# Commits before the first release, far apart, and answers to questions that they ask
HISTORY = {
    "4405c54": REDIS,
    "6393185": {"use_docker": True, "deploy_target": "kubernetes", "use_redis": True},
    "c4625d4": {"ci_provider": "gitlab", "deploy_target": "heroku"},
}
# A commit that offers every choice there has been so far
COMPLETE = "e6d36e2"
# A release that is newer than all others
NEWEST = "v9999.0.0"
RELEASES = subprocess.run(
    ["git", "tag"], cwd=TEMPLATE, capture_output=True, text=True
).stdout.split()
PAGE = (TEMPLATE / "docs/contribute.md").read_text()
# The examples of the page, by question
EXAMPLES = {
    name: keys
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for name, keys in yaml.safe_load(block).items()
}
# How people, and Renovate, run Copier
COMMANDS = [
    ["update", "--defaults"],
    ["update", "--defaults", "--skip-answered"],
    ["recopy", "--defaults", "--overwrite"],
]
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


def copier(project, *arguments, code=0):
    """Run Copier without the settings of this user; return the lines that it prints."""
    done = project.run(*COPIER, *arguments, COPIER_SETTINGS_PATH="/dev/null")
    assert done.returncode == code, done.stdout
    return done.stdout.splitlines()


def data(answers):
    """Return the options of Copier for these answers."""
    return [f"--data={name}={value}" for name, value in answers.items()]


def need(history, version):
    """Give up if this is a clone without old commits."""
    if history.run("git", "cat-file", "-e", version).returncode:
        give_up(f"this clone lacks the commit {version}: run git fetch --unshallow")


@pytest.fixture(scope="module")
def history(template, tmp_path_factory):
    """Return a clone of this repository whose newest release is the template as it is here."""
    clone = Project(tmp_path_factory.mktemp("history"))
    clone.run_ok("git", "clone", "--quiet", "--no-checkout", str(TEMPLATE), ".")
    shutil.copytree(template, clone.path, dirs_exist_ok=True)
    (clone / "here").touch()  # Otherwise there may be nothing to commit.
    clone.commit("The template as it is here")
    clone.tag(NEWEST)
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


def update_with_copier(project):
    copier(project, "update", "--defaults")


def update_with_renovate(project):
    """Update as Renovate does, with lib/modules/manager/copier/artifacts.ts of its source."""
    options = ("--skip-answered", "--defaults", "--answers-file", ANSWERS)
    copier(project, "update", *options, "--vcs-ref", NEWEST)


def update_with_a_checkout(project):
    """Update a project that is older than `make template-update`."""
    command = (sys.executable, str(SCRIPT), "update", "--merge-only")
    project.run_ok(*command, COPIER_SETTINGS_PATH="/dev/null")


@pytest.mark.slow
@pytest.mark.seconds(8)
@pytest.mark.parametrize(
    ("version", "update"),
    [
        *zip(
            [*HISTORY, *RELEASES],
            itertools.cycle([update_with_copier, update_with_renovate]),
        ),
        (min(HISTORY), update_with_a_checkout),
    ],
)
def test_updated_old_project_equals_a_new_one(
    history, rendered, tmp_path, version, update
):
    need(history, version)
    answers = HISTORY.get(version, {})
    project = Project(tmp_path / "project")
    options = ["--defaults", f"--vcs-ref={version}", *data(answers)]
    copier(history, "copy", *options, str(history.path), str(project.path))
    project.commit()

    update(project)

    now = yaml.safe_load(project.read(ANSWERS))
    assert now["_commit"] == NEWEST
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


# Answers over the years


@pytest.fixture
def project_of(template, tmp_path):
    """Return a function that returns a project with these answers, from before a release.

    The release has these questions instead of the template's. Its only file has the answers.
    """

    def project_of(answers, **questions):
        name = "{{ _copier_conf.answers_file }}.jinja"
        source = Project(tmp_path / "template")
        shutil.copytree(template / "extensions", source / "extensions")
        (source / "template").mkdir()
        shutil.copy2(template / "template" / name, source / "template")
        for version, configuration in {
            "v1.0.0": CONFIGURATION,
            "v2.0.0": CONFIGURATION | questions,
        }.items():
            text = yaml.safe_dump(configuration, sort_keys=False)
            (source / "copier.yml").write_text(f"# {version}\n{text}")
            source.commit(version)
            source.run_ok("git", "tag", version)
        recorded = {"_commit": "v1.0.0", "_src_path": str(source.path)} | answers
        project = Project(tmp_path / "project")
        project.path.mkdir()
        (project / ANSWERS).write_text(yaml.safe_dump(recorded))
        project.commit()
        return project

    return project_of


def without(name, value):
    """Return a question that refuses one of its choices as the page's example does."""
    removed = next(iter(EXAMPLES[PYTHON]["choices"].values()))
    offered = QUESTIONS[name]["choices"]
    if isinstance(offered, list):
        offered = dict(zip(offered, offered, strict=True))
    (label,) = (label for label, it in offered.items() if it == value)
    return QUESTIONS[name] | {"choices": offered | {label: removed | {"value": value}}}


# Recorded answers, questions of the release, new answers, and the reason of the refusal
REFUSED = {
    "docker": (
        {"use_docker": True, "deploy_target": "kubernetes"},
        {},
        {"use_docker": False},
        "Invalid choice for 'deploy_target': needs Docker: run this again with"
        " -d use_docker=true",
    ),
    "app": (
        {"deploy_target": "heroku", "production_app": "shop"},
        {},
        {"staging_app": "shop"},
        "Use another name than staging's.",
    ),
    "python": (
        {PYTHON: OLDEST},
        {PYTHON: without(PYTHON, OLDEST)},
        {},
        f"Invalid choice for '{PYTHON}': removed: answer 3.13 or 3.14",
    ),
    "heroku": (
        {"deploy_target": "heroku"},
        {"deploy_target": without("deploy_target", "heroku")},
        {},
        "Invalid choice for 'deploy_target': removed: answer 3.13 or 3.14",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_answer_ends_each_command_before_it_writes(project_of, name):
    recorded, questions, new, reason = REFUSED[name]
    project = project_of(recorded, **questions)

    for command in COMMANDS:
        lines = copier(project, *command, *data(new), code=1)
        assert lines[-1].endswith(reason)
        assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("command", COMMANDS[:2], ids=" ".join)
def test_renamed_question_and_value_keep_their_answers(project_of, command):
    recorded = {"coverage_threshold": 77, "dependency_audit": "report"}
    renamed = QUESTIONS["coverage_threshold"] | EXAMPLES["minimum_coverage"]
    renamed["validator"] = ""
    project = project_of(
        recorded,
        minimum_coverage=renamed,
        dependency_audit=QUESTIONS["dependency_audit"] | EXAMPLES["dependency_audit"],
    )

    copier(project, *command)

    now = yaml.safe_load(project.read(ANSWERS))
    assert now["minimum_coverage"] == 77
    assert now["dependency_audit"] == "warn"


@pytest.mark.parametrize("version", [COMPLETE, *RELEASES])
def test_answer_of_an_older_version_is_valid_refused_or_carried_over(history, version):
    need(history, version)
    old = yaml.safe_load(history.run("git", "show", f"{version}:copier.yml").stdout)
    asked = {
        name: question
        for name, question in old.items()
        if not name.startswith("_") and question.get("when") is not False
    }
    assert asked
    for name, question in asked.items():
        if name not in QUESTIONS:
            assert name in str([it["default"] for it in QUESTIONS.values()]), name
        elif "choices" in question:
            default = str(QUESTIONS[name]["default"])
            for value in validators(question["choices"]):
                known = value in validators(QUESTIONS[name]["choices"])
                assert known or f"'{value}'" in default, (name, value)
