"""Every combination of answers renders to files that are complete and formatted.

A content that several projects have is judged once. A failure names all of them.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.support.contents import Content, contents, fail_for, refuse
from tests.support.options import EVERY_COMBINATION, FULL
from tests.support.project import YAML_LOADER
from tests.support.verdicts import code_of, tools_of

TOOLS = Path(sys.prefix, "bin")
OWN_BRACES = re.compile(r"\$\{\{ .*? \}\}|\{\{ (checksum|json) .*? \}\}")
SUPPRESSIONS = re.compile(
    r"noqa|type: ignore|fmt: (off|skip)|zizmor: ignore|shellcheck disable"
    r"|per-file-ignores|extend-ignore"
)
# What a rule is off for, of which each entry states the reason
ALLOWED = re.compile(r"""\[tool.ruff.lint.per-file-ignores\]
(#.*
("config/settings/\*.py" = \["F403", "F405"\]
|"config/gunicorn.py" = \["S104", "S108"\]
|"deploy/\*.py" = \["S310", "S603"\]
|"scripts/\*.py" = \["S108", "S314", "S603", "S606"\]
|"{\*\*/tests/\*,conftest.py,tests.py,test_\*.py,\*_test.py}" = \["S"\]
)+)+""")
OF_DJANGO = ("docs/development.md", "scripts/app_template/", "templates/")
DJANGO_TAG = re.compile(
    r"{% (extends|load|static|block|endblock|get_static_prefix|translate|get_current_language)\b.*?%}|{# .* #}"
    r"|{{ (app_name|csp_nonce|request.get_host|LANGUAGE_CODE) }}"
)
ALL_CODE = FULL | {"use_docker": True, "deploy_target": "kubernetes", "use_e2e": True}
LENGTHS = {
    "shortest": {
        "project_name": "x",
        "project_slug": "x",
        "project_description": "x",
        "author_name": "x",
        "staging_app": "xxx",
        "production_app": "yyy",
        "staging_url": "https://x.x",
        "production_url": "https://y.x",
    },
    "longest": {
        "project_name": "x" * 200,
        "project_slug": "x" * 40,
        "project_description": "x" * 500,
        "author_name": "x" * 200,
        "staging_app": "x" * 30,
        "production_app": "y" * 30,
        "staging_url": f"https://staging.{'x.' * 100}example.com",
        "production_url": f"https://{'x.' * 100}example.com",
    },
}
CODE = code_of(sys.modules[__name__])


@pytest.fixture(scope="module")
def every_length(every_project, rendered):
    """Return the project of each combination, also with the shortest and longest answers."""
    return every_project | {
        name: rendered(**ALL_CODE | answers) for name, answers in LENGTHS.items()
    }


def find(*command):
    """Run a tool; return what it printed if it found anything."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def refuse_contents(check, projects, *patterns):
    """Fail for each content in which a function finds something."""
    refuse(
        check.__name__,
        contents(projects, *patterns),
        lambda content: [content.path, content.hash, CODE, tools_of("pyyaml")],
        lambda found: {it: list(check(it.path, it.text)) for it in found},
    )


def python_files(project, *others):
    """Return the path and the hash of each Python file of a project, and of others."""
    return {
        path: content
        for path, (content, _) in project.tree.items()
        if path.endswith(".py") or path in others
    }


def test_ruff_finds_nothing_in_any_combination(every_length, tmp_path):
    # Ruff reads each file under the settings of its project, and next to its modules.
    owners = defaultdict(list)
    for name, project in every_length.items():
        files = python_files(project, "pyproject.toml", ".gitignore")
        owners[tuple(Content(*file) for file in files.items())].append(name)

    def judge(items):
        """Let one process read all folders."""
        folders = {str(number): item for number, item in enumerate(items)}
        for number, files in folders.items():
            link(files, tmp_path / number)
        findings = {item: [] for item in items}
        for file, finding in run_ruff(tmp_path):
            number, _, path = str(file.relative_to(tmp_path)).partition("/")
            findings[folders[number]].append(f"{path}: {finding}")
        return findings

    refuse(
        *("ruff", owners),
        lambda files: [[[it.path, it.hash] for it in files], CODE, tools_of("ruff")],
        judge,
    )


def link(files, folder):
    """Write files to a folder: each content once, since a link costs less."""
    for content in files:
        original = folder.with_name("contents") / content.hash
        place = folder / content.path
        for path in (original, place):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not original.exists():
            original.write_text(content.text)
        place.hardlink_to(original)


def run_ruff(folder):
    """Yield the path and the text of each finding of Ruff in the projects of a folder."""
    command = [TOOLS / "ruff", "check", "--no-cache", "--output-format=json"]
    projects = [path for path in folder.iterdir() if path.name != "contents"]
    done = subprocess.run([*command, *projects], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    for found in json.loads(done.stdout):
        yield Path(found["filename"]), f"{found['code']} {found['message']}"


def test_black_would_change_nothing_in_any_combination(every_length, tmp_path):
    owners = defaultdict(list)
    for name, project in every_length.items():
        # Black reads nothing else of a project.
        data = project.toml("pyproject.toml")
        governed_by = json.dumps(
            [data["tool"].get("black"), data["project"]["requires-python"]]
        )
        for path, content in python_files(project).items():
            owners[Content(path, content), governed_by].append(name)

    def judge(items):
        findings = {}
        for setting in {setting for _, setting in items}:
            found = [content for content, its in items if its == setting]
            example = every_length[owners[found[0], setting][0]]
            folder = tmp_path / str(len(findings))
            for number, content in enumerate(found):
                (folder / str(number)).mkdir(parents=True)
                (folder / str(number) / Path(content.path).name).write_text(
                    content.text
                )
            (folder / "pyproject.toml").write_text(example.read("pyproject.toml"))
            report = find(TOOLS / "black", "--check", folder)
            assert not report or "would reformat" in report, report
            for number, content in enumerate(found):
                place = str(folder / str(number) / Path(content.path).name)
                bad = f"would reformat {place}\n" in report
                findings[content, setting] = ["would be reformatted"] * bad
        return findings

    refuse(
        *("black", owners),
        lambda item: [item[0].path, item[0].hash, item[1], CODE, tools_of("black")],
        judge,
    )


def test_python_compiles(every_project):
    def compiles(path, text):
        try:
            ast.parse(text, path)
        except SyntaxError as error:
            yield str(error)

    refuse_contents(compiles, every_project, ".py")


def test_configuration_parses(every_project):
    def parses(path, text):
        try:
            if path.endswith(".toml"):
                tomllib.loads(text)
            else:
                list(yaml.load_all(text, YAML_LOADER))
        except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
            yield str(error)

    refuse_contents(parses, every_project, ".toml", ".yml", ".yaml")


def test_makefiles_parse(every_project):
    owners = contents(every_project, "Makefile")

    def judge(items):
        return {it: dry_run(every_project[owners[it][0]].path) for it in items}

    refuse(
        *("make", owners),
        lambda content: [content.hash, CODE, tools_of("make")],
        judge,
    )


def dry_run(folder):
    """Return what make prints if it cannot tell what `make ci` would run."""
    found = find("make", "--directory", folder, "--dry-run", "ci")
    return [found] if found else []


def test_recipes_have_at_most_four_lines(every_project):
    for text in {project.read("Makefile") for project in every_project.values()}:
        recipes = re.findall(r"^([^\t\n][^\n]*)\n((?:\t[^\n]*\n)+)", text, re.MULTILINE)
        long = [rule for rule, lines in recipes if lines.count("\n") > 4]
        assert len(recipes) > 20
        assert long == []


def test_no_tag_is_left(every_project):
    def has_no_tag(path, text):
        # Django has tags of its own, and a page names some.
        if path.startswith(OF_DJANGO):
            text = DJANGO_TAG.sub("", text)
        # Two providers, and Docker, have double braces of their own.
        for found in re.findall(r"\{\{|\{%|\{#", OWN_BRACES.sub("", text)):
            yield f"{found} is left"

    refuse_contents(has_no_tag, every_project)


def test_blank_lines_are_where_they_belong(every_project):
    def has_good_lines(path, text):
        most = 2 if path.endswith((".py", ".py-tpl")) else 1
        if re.search(r"[ \t]+$", text, re.MULTILINE):
            yield "trailing space"
        if "\n" * (most + 2) in text:
            yield "too many blank lines"
        if text.startswith("\n"):
            yield "begins with a blank line"
        if text and not re.search(r"[^\n]\n\Z", text):
            yield "does not end with one newline"

    refuse_contents(has_good_lines, every_project)


def test_nothing_is_suppressed(every_project):
    def suppresses_nothing(path, text):
        for found in SUPPRESSIONS.finditer(ALLOWED.sub("", text)):
            yield f"suppresses findings: {found.group()}"

    refuse_contents(suppresses_nothing, every_project)


def test_answers_are_recorded(every_project):
    wrong = {}
    for name, answers in EVERY_COMBINATION.items():
        recorded = every_project[name].yaml(".copier-answers.yml")
        for question, value in answers.items():
            expected = json.dumps(value) if value in (True, False) else value
            if recorded[question] != expected:
                wrong.setdefault(name, []).append(f"{question} is not {expected}")
    fail_for(wrong, {name: [name] for name in wrong})


def test_audit_skips_accepted_vulnerabilities(render):
    project = render()
    assert "--ignore-vuln" not in project.make("audit", "--dry-run").stdout

    text = "PYSEC-2026-1 # we parse no XML\n# nothing more\nCVE-2026-2\n"
    (project / ".audit-ignore").write_text(text)
    command = project.make("audit", "--dry-run").stdout.splitlines()[-1]

    assert command.split() == [
        *("--ignore-vuln", "PYSEC-2026-1", "--ignore-vuln", "CVE-2026-2")
    ]
