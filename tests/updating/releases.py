"""Releases of this template, out of its history and with planted changes, and their projects."""

import ast
import contextlib
import io
import json
import os
import runpy
import stat
import subprocess
import sys
import tempfile
import tomllib
from unittest import mock

import copier
import yaml

from tests.support.options import QUESTIONS, choices
from tests.support.project import Project, clean_environment
from tests.support.rendering import quick_copier, template_once
from tests.updating.small import SCRIPT

ANSWERS = ".copier-answers.yml"
PARTS = ("copier.yml", "extensions", "template")
# Older versions ask other questions.
HISTORY = 150


def comment(name, text):
    """Return a line for a file: a comment, so that most edits leave the file valid."""
    ending = name.removesuffix(".jinja").rpartition(".")[2]
    if ending in ("md", "html"):
        return f"<!-- {text} -->"
    return f"# {text}"


def save(project, message):
    """Commit all changes, if there are any; return the commit."""
    project.run_ok("git", "add", "--all")
    if project.run("git", "status", "--porcelain").stdout:
        project.commit(message)
    return project.head()


def is_text(content):
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def is_valid(name, content):
    """Return whether a file can be read as what its name says."""
    read = {
        "py": ast.parse,
        "toml": tomllib.loads,
        "json": json.loads,
        "yml": lambda text: list(yaml.safe_load_all(text)),
    }
    read["yaml"] = read["yml"]
    try:
        read.get(name.rpartition(".")[2], len)(content.decode())
    except (ValueError, SyntaxError, yaml.YAMLError):
        return False
    return True


class Releases:
    """A repository of templates: commits of this repository, and releases made from them."""

    def __init__(self, here, history, folder):
        """Begin with the template in `here`, and the history of the repository `history`."""
        self.repository = Project(folder / "template")
        self.repository.path.mkdir()
        self.history = history
        for part in PARTS:
            self.repository.run_ok("cp", "-r", str(here / part), ".")
        self.newest = self.repository.commit("The template as it is here")
        options = (f"--max-count={HISTORY}", "HEAD", "--", *PARTS)
        log = subprocess.run(
            ["git", "rev-list", *options], cwd=history, capture_output=True, text=True
        )
        self.older = log.stdout.split()

    def earlier(self, random):
        """Return a commit with the template as it was at a random commit of the history."""
        if not self.older or random.random() < 0.5:
            return self.newest
        self.repository.run_ok("git", "checkout", "--quiet", self.newest)
        self.repository.run_ok("git", "rm", "-r", "--quiet", ".")
        archive = f"git -C {self.history} archive {random.choice(self.older)}"
        self.repository.run_ok("bash", "-c", f"{archive} {' '.join(PARTS)} | tar -x")
        return save(self.repository, "Earlier")

    def later(self, random, edits, often=()):
        """Return a release after the newest commit with so many planted changes.

        Half of them change files of a project that are named in `often`.
        """
        self.repository.run_ok("git", "checkout", "--quiet", self.newest)
        template = Project(self.repository / "template")
        names = sorted(it for it in template.files() if "answers_file" not in it)
        often = [name for name in names if name.removesuffix(".jinja") in often]
        for number in range(edits):
            name = random.choice(random.choice([names, often or names]))
            path = template / name
            if not path.exists() or not is_text(path.read_bytes()):
                continue
            lines = path.read_text().splitlines(keepends=True)
            line = random.randrange(len(lines) + 1)
            text = comment(name, f"template {number}") + "\n"
            before = "".join(lines[:line])
            in_block = before.count("{%") > before.count("%}")
            kinds = ["add", "move", "remove", "replace", "replace", *["insert"] * 4]
            kind = random.choice(kinds)
            if kind == "add":
                (template / f"added-{number}.md").write_text(text * 9)
            elif kind == "remove":
                path.unlink()
            elif kind == "move" and "{" not in name and path.suffix != ".jinja":
                path.rename(path.with_name(f"moved-{path.name}"))
            elif kind == "replace" and not (
                in_block or "{" in "".join(lines[line : line + 1])
            ):
                path.write_text("".join([*lines[:line], text, *lines[line + 1 :]]))
            else:
                # In front of a block of Jinja, or behind it, a line changes nothing else.
                line = line if "{" not in "".join(lines) else len(lines)
                path.write_text("".join([*lines[:line], text, *lines[line:]]))
        return save(self.repository, f"Release {random.random()}")

    def render(self, version, answers, folder):
        """Return a project of this version. Raises ValueError for answers that it refuses."""
        with tempfile.TemporaryDirectory() as template, quick_copier():
            archive = f"git archive {version} | tar -x -C {template}"
            self.repository.run_ok("bash", "-c", archive)
            copier.run_copy(template, folder, answers, defaults=True, quiet=True)
        project = Project(folder)
        lines = project.read(ANSWERS).replace(template, str(self.repository.path))
        name = self.repository.run("git", "describe", "--always", version).stdout
        (project / ANSWERS).write_text(
            lines.replace("_src_path:", f"_commit: '{name.strip()}'\n_src_path:")
        )
        return project


def draw(random, share):
    """Return random answers to about this share of the questions that have choices."""
    names = [name for name, it in QUESTIONS.items() if it["type"] == "bool"]
    names += [name for name, it in QUESTIONS.items() if "choices" in it]
    return {
        name: random.choice(choices(name)) for name in names if random.random() < share
    }


def update(project, *options):
    """Run the script in this process, with a Copier that repeats less; return code and report."""
    output, code = io.StringIO(), 0
    arguments = [str(SCRIPT), "update", "--merge-only", "--json", *options]
    # Its cache has folders that an earlier update has removed.
    template_once.cache_clear()
    with (
        contextlib.chdir(project.path),
        contextlib.redirect_stdout(output),
        mock.patch.dict(os.environ, clean_environment(), clear=True),
        mock.patch.object(sys, "argv", arguments),
        mock.patch.object(tempfile, "tempdir", None),
        quick_copier(),
    ):
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    return code, json.loads(output.getvalue())


def tree(project):
    """Return the mode and the content of each file, by path."""
    found = {}
    for path in project.path.rglob("*"):
        name = str(path.relative_to(project.path))
        if path.is_symlink():
            found[name] = "link", os.readlink(path).encode()
        elif path.is_file() and not name.startswith(".git/"):
            found[name] = bool(path.stat().st_mode & stat.S_IXUSR), path.read_bytes()
    return found
