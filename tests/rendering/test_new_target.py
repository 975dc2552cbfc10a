"""What one more deploy target needs: a row, and a few files of its own.

A target named dummy is added to a copy of this repository. Without any one part of it, no
project renders, or a named test fails: nothing falls back to another target.
"""

import re
import shutil
import subprocess
import sys

import copier
import jinja2
import pytest
from copier.errors import UserMessageError

from tests.deployment.platforms import PLATFORMS
from tests.deployment.platforms.base import ByImage, Platform
from tests.pipelines.model import expected
from tests.pipelines.readers import read
from tests.support.braces import expand
from tests.support.options import TEMPLATE, choices
from tests.support.project import Project, clean_environment
from tests.support.rendering import quick_copier

ROW = {
    "deploys": True,
    "asks_names": True,
    "asks_servers": False,
    "keeps_files": False,
    "files": ["/dummy.toml"],
    "runs_image": True,
    "service_label": False,
    "settings": {"app": "app"},
    "cli": {"name": "dummyctl", "installer": "pypi", "manual": "dummy.invalid"},
    "secrets": ["DUMMY_TOKEN"],
    "can_mask_secrets": True,
    "can_expand_secrets": True,
    "job_image": "python",
    "needs_history": False,
    "docker_login": False,
    "registry_variables": False,
}
PHRASES = {"needs": "dummyctl", "without_record": "dummyctl confirms it"}
BLOCKS = ["intro", "setup", "after_setup", "variables", "uploads", "failures"]
BLOCKS += ["after_failures", "by_hand"]
MODULE = """\
\"\"\"Dummy.\"\"\"

TOOLS = ("git", "dummyctl")
VARIABLES = ("DUMMY_TOKEN",)
CANCELLED = "Nothing goes on"
"""
PLATFORM = """\
from tests.deployment.platforms.base import Platform


class Dummy(Platform):
    tool = "dummyctl"
    own_files = {"deploy/dummy.py", "deploy/image.py", "dummy.toml"}
    trace = "dummy"
"""
REGISTERED = """
from tests.deployment.platforms.dummy import Dummy
PLATFORMS["dummy"] = Dummy
"""


def row(row):
    return f'  "dummy": {row},\n}} %}}'


def manual(phrases, blocks):
    """Return the manual of the target, with the name of each part as its text."""
    lines = ['{% extends "extensions/pages/deployment.md" %}']
    lines += [f'{{% set {name} = "{text}" %}}' for name, text in phrases.items()]
    for name in blocks:
        lines += [f"{{% block {name} %}}", f"The dummy's {name}", "{% endblock %}"]
    return "\n".join(lines) + "\n"


# Each file with what the target adds to it: a text of its own, or what takes the place of
# a text that is there.
NEEDED = {
    "copier.yml": (
        "    Nowhere yet: none\n",
        "    Nowhere yet: none\n    Dummy: dummy\n",
    ),
    "extensions/targets.jinja": ("} %}", row(ROW)),
    "extensions/pages/deployment/dummy.md": manual(PHRASES, BLOCKS),
    "template/deploy/dummy.py": MODULE,
    "template/dummy.toml.jinja": 'name = "{{ staging_app }}"\n',
    "docs/questions.md": ("Nowhere yet<br>", "Nowhere yet<br>`dummy` Dummy<br>"),
    "tests/deployment/platforms/dummy.py": PLATFORM,
    "tests/deployment/platforms/__init__.py": (
        "\n\ndef platform_of(",
        f"{REGISTERED}\n\ndef platform_of(",
    ),
    "tests/deployment/stand_ins/dummyctl": "#!/bin/sh\n",
}
# The tests that fail where the rendering does not.
FILES = (
    "tests/rendering/test_files.py::test_project_has_exactly_the_files_of_its_answers"
    "[github-none-use_docker-dummy-6.1-3.13]"
)
CHECKS = {
    "template/deploy/dummy.py": FILES,
    "template/dummy.toml.jinja": FILES,
    "docs/questions.md": (
        "tests/maintenance/test_website.py::test_tables_of_questions_are_up_to_date"
    ),
    "tests/deployment/platforms/dummy.py": FILES,
    "tests/deployment/platforms/__init__.py": FILES,
    "tests/deployment/stand_ins/dummyctl": (
        "tests/deployment/test_platforms.py::test_each_platform_has_a_stand_in"
    ),
}
TARGETS = [name for name in choices("deploy_target") if name != "none"]
ROWS = {"extensions/targets.jinja"}
# What Copier raises: in the condition of a question, it wraps Jinja's error.
UNDEFINED = (jinja2.UndefinedError, UserMessageError)
MISSING = (jinja2.UndefinedError, jinja2.TemplateRuntimeError)
POINTS = [
    {"ci_provider": provider, "use_docker": use_docker, "deploy_target": "dummy"}
    for use_docker in (True, False)
    for provider in choices("ci_provider")
]


class Dummy(Platform):
    own_files = {"deploy/dummy.py", "dummy.toml"}


class DummyImage(ByImage, Dummy):
    own_files = {"deploy/dummy.py", "deploy/image.py", "dummy.toml"}


@pytest.fixture
def extend(template, tmp_path):
    """Return a function that returns a copy of the repository with the parts of a target."""

    def extend(needed):
        repository = Project(shutil.copytree(template, tmp_path / "repository"))
        for name, part in needed.items():
            if isinstance(part, str):
                (repository / name).write_text(part)
                (repository / name).chmod(0o755)
            else:
                repository.edit(name, *part)
        return repository

    return extend


@pytest.fixture
def build(tmp_path):
    """Return a function that renders a project of a repository."""

    def build(repository, **answers):
        folder = tmp_path / "-".join(str(answer) for answer in answers.values())
        with quick_copier():
            copier.run_copy(
                str(repository.path), folder, answers, defaults=True, quiet=True
            )
        return Project(folder)

    return build


def build_each(build, repository):
    for answers in POINTS:
        build(repository, **answers)


def without(name, part=None):
    """Return what a target needs, with another part in this file, or without the file."""
    others = {key: it for key, it in NEEDED.items() if key != name}
    return others if part is None else others | {name: part}


def test_new_target_needs_few_files_mostly_its_own():
    own = [name for name in NEEDED if "dummy" in name]

    assert len(NEEDED) <= 12
    assert len(own) > len(NEEDED) / 2


def test_the_page_for_contributors_lists_what_a_target_needs():
    page = (TEMPLATE / "docs/contribute.md").read_text()
    row = re.search(r"^\| a deploy target, .* \| (.*) \|$", page, re.MULTILINE)[1]
    listed = {it for text in re.findall("`(.*?)`", row) for it in expand(text)}
    own = {f"template{name}.jinja" for name in ROW["files"]}

    assert listed == {
        name.replace("dummyctl", "<cli>").replace("dummy", "<target>")
        for name in NEEDED.keys() - own
    }


@pytest.mark.parametrize("answers", POINTS, ids=str)
def test_a_new_target_renders_for_each_provider(extend, build, monkeypatch, answers):
    monkeypatch.setitem(PLATFORMS, "dummy", Dummy)
    monkeypatch.setitem(PLATFORMS, "dummy-image", DummyImage)
    platform = DummyImage if answers["use_docker"] else Dummy
    repository = extend(NEEDED)

    project = build(repository, **answers)

    assert platform.own_files <= project.files()
    assert read(answers["ci_provider"], project) == expected(**answers)
    page = project.read("docs/deployment.md")
    assert all(f"The dummy's {name}\n" in page for name in BLOCKS)
    for name in project.files() - {".copier-answers.yml"}:
        for other in PLATFORMS.values():
            if other not in (Dummy, DummyImage):
                found = re.search(other.trace, project.read(name), re.IGNORECASE)
                assert not found, f"{name}: {found.group()}"


def test_new_target_leaves_no_trace_in_other_projects(extend, build):
    project = build(extend(NEEDED), deploy_target="heroku")

    for name in project.files():
        assert "dummy" not in name
        assert "dummy" not in project.read(name).lower(), name


def test_what_is_no_choice_is_refused(extend, build):
    repository = extend(without("copier.yml"))

    with pytest.raises(ValueError, match="Invalid choice for 'deploy_target'"):
        build(repository, **POINTS[0])


@pytest.mark.parametrize("key", [None, *ROW])
def test_no_project_renders_without_the_row_or_a_key(extend, build, key):
    rest = {name: value for name, value in ROW.items() if name != key}
    changed = ("} %}", row(rest)) if key else None
    repository = extend(without("extensions/targets.jinja", changed))

    with pytest.raises(UNDEFINED, match=f"no attribute '{key or 'dummy'}'"):
        build_each(build, repository)


def test_no_project_renders_without_a_manual(extend, build):
    repository = extend(without("extensions/pages/deployment/dummy.md"))

    with pytest.raises(jinja2.TemplateNotFound, match="dummy"):
        build(repository, **POINTS[0])


@pytest.mark.parametrize("part", [*PHRASES, *BLOCKS])
def test_no_project_renders_without_a_part_of_the_manual(extend, build, part):
    phrases = {name: text for name, text in PHRASES.items() if name != part}
    page = manual(phrases, [name for name in BLOCKS if name != part])
    repository = extend(without("extensions/pages/deployment/dummy.md", page))

    with pytest.raises(MISSING, match=f"'{part}' (is undefined|not found)"):
        build(repository, **POINTS[0])


def run_checks(repository, *checks):
    """Run named tests of a copy of the repository; return the exit code and the output."""
    repository.commit()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *checks],
        cwd=repository.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_the_checks_pass_with_a_whole_target(extend):
    code, output = run_checks(extend(NEEDED), *sorted(set(CHECKS.values())))

    assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), CHECKS.items(), ids=CHECKS)
def test_a_check_fails_without(extend, name, check):
    code, output = run_checks(extend(without(name)), check)

    assert code != 0
    assert re.search("Error.*dummy", output, re.DOTALL), output


def is_shared(place):
    """Return whether a file of the template belongs to no target."""
    owned = {f"template/{name}" for it in PLATFORMS.values() for name in it.own_files}
    has_name = any(name in place for name in TARGETS)
    return (
        not has_name and place not in ROWS and place.removesuffix(".jinja") not in owned
    )


def test_no_shared_file_names_a_target():
    texts = {
        str(path.relative_to(TEMPLATE)): path.read_text()
        for folder in ("template", "extensions")
        for path in (TEMPLATE / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    found = {
        place: re.findall(rf"\b(?:{'|'.join(TARGETS)})\b", text, re.IGNORECASE)
        for place, text in texts.items()
        if is_shared(place)
    }

    assert {place: names for place, names in found.items() if names} == {}


def test_each_part_is_missed():
    rendered = {name for name in NEEDED if name.startswith(("copier", "extensions"))}

    assert rendered | CHECKS.keys() == NEEDED.keys()
    assert all(
        (TEMPLATE / name.partition("::")[0]).exists() for name in CHECKS.values()
    )
