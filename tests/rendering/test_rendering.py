"""Every combination of answers renders to files that are whole, and formatted."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.options import EVERY_COMBINATION, QUESTIONS, choices

TOOLS = Path(sys.prefix, "bin")
OWN_BRACES = re.compile(r"\$\{\{ .*? \}\}|\{\{ (checksum|json) .*? \}\}")
in_every_combination = pytest.mark.parametrize(
    "answers", EVERY_COMBINATION.values(), ids=EVERY_COMBINATION.keys()
)


def find(*command):
    """Run a tool; return what it printed if it found anything."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def test_ruff_finds_nothing_in_any_combination(rendered):
    # One process for all: each file is read under its own project's settings.
    folders = [rendered(**answers).path for answers in EVERY_COMBINATION.values()]

    assert find(TOOLS / "ruff", "check", "--no-cache", *folders) == ""


@pytest.mark.parametrize("version", choices("python_version"))
def test_black_would_change_nothing_in_any_combination(rendered, version, tmp_path):
    projects = [
        rendered(**answers)
        for answers in EVERY_COMBINATION.values()
        if answers.get("python_version", QUESTIONS["python_version"]["default"])
        == version
    ]
    # Few texts differ: each is read once, in the name of all combinations that have it.
    texts = {
        project.read(name): name.replace("/", "-")
        for project in projects
        for name in project.files()
        if name.endswith(".py")
    }
    for number, (text, name) in enumerate(texts.items()):
        (tmp_path / f"{number}-{name}").write_text(text)
    # Black's settings depend on the Python version alone.
    settings = projects[0] / "pyproject.toml"

    assert find(TOOLS / "black", "--check", "--config", settings, tmp_path) == ""


@in_every_combination
def test_python_compiles(rendered, answers):
    project = rendered(**answers)
    for name in project.files():
        if name.endswith(".py"):
            ast.parse(project.read(name), name)


@in_every_combination
def test_configuration_parses(rendered, answers):
    project = rendered(**answers)
    for name in project.files():
        if name.endswith(".toml"):
            project.toml(name)
        if name.endswith((".yml", ".yaml")):
            project.documents(name)


@in_every_combination
def test_the_makefile_parses(rendered, answers):
    folder = rendered(**answers).path

    assert find("make", "--directory", folder, "--dry-run", "ci") == ""


@in_every_combination
def test_no_tag_is_left(rendered, answers):
    project = rendered(**answers)
    for name in project.files():
        # Two providers, and Docker, have double braces of their own.
        text = re.sub(OWN_BRACES, "", project.read(name))
        assert not re.search(r"\{\{|\{%|\{#", text), name


@in_every_combination
def test_blank_lines_are_where_they_belong(rendered, answers):
    project = rendered(**answers)
    for name in project.files():
        text = project.read(name)
        most = 2 if name.endswith(".py") else 1
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name}: trailing space"
        assert "\n" * (most + 2) not in text, f"{name}: too many blank lines"
        assert not text.startswith("\n"), f"{name}: begins with a blank line"
        assert text == "" or re.search(r"[^\n]\n\Z", text), f"{name}: ends badly"


@in_every_combination
def test_nothing_is_suppressed(rendered, answers):
    project = rendered(**answers)
    for name in project.files():
        text = project.read(name)
        found = re.search(
            r"noqa|type: ignore|fmt: (off|skip)|zizmor: ignore|shellcheck disable", text
        )
        assert not found, f"{name}: {found.group()}"
        assert "per-file-ignores" not in text, name


@in_every_combination
def test_the_answers_are_recorded(rendered, answers):
    recorded = rendered(**answers).yaml(".copier-answers.yml")
    for name, value in answers.items():
        assert recorded[name] == (
            json.dumps(value) if value in (True, False) else value
        )


def test_the_audit_leaves_out_what_somebody_has_accepted(render):
    project = render()
    assert "--ignore-vuln" not in project.make("audit", "--dry-run").stdout

    text = "PYSEC-2026-1 # we parse no XML\n# nothing more\nCVE-2026-2\n"
    (project / ".audit-ignore").write_text(text)
    command = project.make("audit", "--dry-run").stdout.splitlines()[-1]

    assert command.split() == [
        *("--ignore-vuln", "PYSEC-2026-1", "--ignore-vuln", "CVE-2026-2")
    ]
