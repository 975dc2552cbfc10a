"""Render projects for the tests: each set of answers once, and kept between test runs."""

import contextlib
import functools
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import copier
import jinja2
from copier import _main as copier_main
from copier import _user_data as user_data
from copier._user_data import AnswersMap

from tests.support.cache import CACHE, DAY, FRESH, RUN, Cache, today
from tests.support.options import DEFAULTS, QUESTIONS, TEMPLATE
from tests.support.project import Project
from tests.support.tracked import tracked
from tests.support.verdicts import code_of, tools_of

# What Copier reads of the template
SOURCES = ("copier.yml", "extensions", "template")
SCHEMA = """
CREATE TABLE IF NOT EXISTS trees (key TEXT PRIMARY KEY, tree TEXT, run TEXT, day INTEGER);
CREATE TABLE IF NOT EXISTS contents (hash TEXT PRIMARY KEY, content BLOB);
"""
KEPT_DAYS = 7

compile_template, compiled = jinja2.Environment.compile, {}


def compile_once(environment, source, name=None, filename=None, **options):
    """Compile a template once for all projects: that is half of a copy's time.

    The name of its file is only for messages, so a copy of the template counts as well.
    """
    settings = environment.trim_blocks, environment.lstrip_blocks, type(environment)
    key = (settings, source, name, *options.items())
    if key not in compiled:
        compiled[key] = compile_template(environment, source, name, filename, **options)
    return compiled[key]


jinja2.Environment.compile = compile_once

# Copier reads the template once for all projects, and not for each.
template_once = functools.cache(copier_main.Template)
# Most projects have the same values of YAML.
parse_once = functools.cache(user_data.parse_yaml_string)
make_environment = copier_main.Worker.jinja_env.func


@property
def environment_once(worker):
    """Return one environment for all projects of a template, with what it compiled."""
    known = vars(worker.template)
    if "environment" not in known:
        known["environment"] = environment = make_environment(worker)
        environment.from_string = functools.cache(environment.from_string)
    return known["environment"]


def paths(worker):
    """Return each path of a template: as a source, in a project, and whether it is a folder."""
    known = vars(worker.template)
    if "paths" not in known:
        source, root = worker.template.local_abspath, worker.template_copy_root
        known["paths"] = []
        for entry in copier_main.scantree(str(root), True):
            # Copier checks each time that no link leads out of the template.
            assert not entry.is_symlink(), f"{entry.path} is a link"
            path = Path(entry.path)
            places = path.relative_to(source), path.relative_to(root)
            known["paths"].append((*places, entry.is_dir()))
    return known["paths"]


def places_once(worker, path):
    """Return where a path of the template goes, which depends only on its expressions."""
    if "{" in str(path):
        return worker._render_path(path)
    known = vars(worker.template).setdefault("places", {})
    if path not in known:
        known[path] = list(worker._render_path(path))
    return known[path]


def render_paths(worker):
    """Render the template, without what Copier finds out about each path each time."""
    for source, path, is_folder in paths(worker):
        for place, context in places_once(worker, path):
            if worker.match_exclude(place):
                continue
            if is_folder:
                worker._render_folder(place)
            else:
                worker._render_file(source, place, extra_context=context or {})


# Copier renders the name of the answers file twice for each path. It never changes.
name_once = functools.cached_property(copier_main.Worker.answers_relpath.fget)
name_once.__set_name__(copier_main.Worker, "answers_relpath")


def once_per_answer(compute):
    """Return a method that computes again only when there is another answer."""

    def known(self):
        answers = getattr(self, "answers", self)
        state = len(answers.user), len(answers.hidden), id(answers.external)
        if vars(answers).get(compute, [None])[0] != state:
            vars(answers)[compute] = state, compute(self)
        return vars(answers)[compute][1]

    return known


# Copier gathers the answers for each path. They change only while it asks.
combined_once = property(once_per_answer(AnswersMap.combined.fget))
remembered_once = once_per_answer(copier_main.Worker._answers_to_remember)


@contextlib.contextmanager
def quick_copier():
    """Let Copier leave out what it repeats, and the settings of this user.

    The template does not change meanwhile.
    """
    worker = mock.patch.multiple(
        copier_main.Worker,
        answers_relpath=name_once,
        _answers_to_remember=remembered_once,
        jinja_env=environment_once,
        _render_template=render_paths,
        # Two calls of git for each file, which do nothing outside of a repository
        _sync_git_index_executable_bit=lambda *_: None,
    )
    answers = mock.patch.object(AnswersMap, "combined", combined_once)
    template = mock.patch.object(copier_main, "Template", template_once)
    yaml = mock.patch.dict(user_data.CAST_STR_TO_NATIVE, yaml=parse_once)
    # The user's own defaults are no part of a project's key.
    model = copier_main.SettingsModel
    settings = mock.patch.object(model, "from_file", model)
    with worker, answers, template, yaml, settings:
        yield


def copy_with(copie, template, answers):
    """Render a project. pytest-copie hides errors and takes any answer: this does not."""
    check(answers)
    with quick_copier():
        result = copie.copy(extra_answers=answers, template_dir=template)
    if result.exception:
        raise result.exception
    return Project(result.project_dir)


def check(answers):
    """Fail for an answer to no question: Copier would ignore it."""
    unknown = answers.keys() - QUESTIONS.keys()
    assert not unknown, f"not questions of copier.yml: {sorted(unknown)}"


def renderer(copie, template):
    """Yield a function that renders projects; then end the services of those that ran."""
    projects = []

    def render(**answers):
        projects.append(copy_with(copie, template, answers))
        return projects[-1]

    yield render
    for project in projects:
        if (project / ".services").exists():
            project.run(".venv/bin/python", "-m", "scripts.services", "stop")


def digest(content):
    return hashlib.sha256(content).hexdigest()


def files_of(folder):
    """Return each file in a folder by its path in there, in order."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path for path in paths}


@functools.cache
def sources():
    """Return each file of the template that Copier reads, by its relative path.

    A clone has no file that git ignores, and so no user gets it.
    """
    return {name: TEMPLATE / name for name in sorted(tracked(*SOURCES))}


class Renders(Cache):
    """Rendered projects: each is a tree of paths, and each content is kept once."""

    def __init__(self, folder, run=RUN, fresh=FRESH):
        super().__init__(folder, "renders", SCHEMA, run, fresh)
        self.trees, self.texts = {}, {}

    @functools.cached_property
    def state(self):
        """Return a hash of everything but the answers that a project depends on."""
        return self.state_of(sources())

    def state_of(self, files):
        """Return the state with these files of the template, by relative path."""
        parts = [
            *([name, digest(path.read_bytes())] for name, path in files.items()),
            *(oct(path.stat().st_mode) for path in files.values()),
            tools_of("copier", "jinja2", "jinja2-ansible-filters"),
            code_of(sys.modules[__name__]),
        ]
        return digest(json.dumps(parts).encode())

    def key(self, answers):
        """Return the key of a project: a stated default is no other answer."""
        parts = [self.state, DEFAULTS | answers]
        return digest(json.dumps(parts, sort_keys=True).encode())

    @functools.cached_property
    def template(self):
        """Return a copy of what Copier reads of the template.

        Its path is in each project, so it is the same in all runs.
        """
        place = self.folder / "templates" / self.state[:16]
        with self.locked("template"):
            if not place.exists():
                draft = place.with_suffix(".draft")
                shutil.rmtree(draft, ignore_errors=True)
                copied = {name: draft / name for name in sources()}
                for name, path in sources().items():
                    copied[name].parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copied[name])
                changed = self.state_of(copied) != self.state
                assert not changed, "the template changed during this run: run it again"
                draft.rename(place)
            place.touch()
        return place

    def load(self, keys):
        """Read the kept trees of projects into memory."""
        with self.database() as database:
            rows = database.execute(
                "SELECT key, tree, run, day FROM trees"
                " WHERE key IN (SELECT value FROM json_each(?))",
                [json.dumps(sorted(keys - self.trees.keys()))],
            ).fetchall()
            found = [row for row in rows if self.counts(row[2])]
            self.trees |= {key: json.loads(tree) for key, tree, _, _ in found}
            if old := [key for key, _, _, day in found if day != today()]:
                database.executemany(
                    "UPDATE trees SET day = ? WHERE key = ?",
                    [(today(), key) for key in old],
                )

    def tree(self, answers):
        """Return the hash and the mode of each file of a project; render it if need be."""
        self.render([answers])
        return self.trees[self.key(answers)]

    def render(self, several):
        """Render those of several sets of answers that no worker has rendered."""
        keys = {self.key(answers): answers for answers in several}
        if missing := keys.keys() - self.trees.keys():
            self.load(missing)
            missing -= self.trees.keys()
        # First those that no other worker renders just now; then wait for the others.
        for wait in (False, True):
            for key in [key for key in keys if key in missing - self.trees.keys()]:
                with self.locked(key, wait) as held:
                    if held:
                        self.load({key})
                        if key not in self.trees:
                            self.keep(key, keys[key])

    def keep(self, key, answers):
        """Render a project, and keep it."""
        check(answers)
        with tempfile.TemporaryDirectory() as folder, quick_copier():
            source = str(self.template)
            copier.run_copy(source, folder, answers, defaults=True, quiet=True)
            files = files_of(Path(folder))
            contents = {name: path.read_bytes() for name, path in files.items()}
            tree = {
                name: [digest(contents[name]), path.stat().st_mode & 0o777]
                for name, path in files.items()
            }
        with self.database() as database:
            database.executemany(
                "INSERT OR IGNORE INTO contents VALUES (?, ?)",
                [(tree[name][0], content) for name, content in contents.items()],
            )
            database.execute(
                "INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?)",
                [key, json.dumps(tree), self.run, today()],
            )
        self.trees[key] = tree

    def content(self, name):
        """Return the bytes with this hash."""
        if name not in self.texts:
            with self.database() as database:
                row = database.execute(
                    "SELECT content FROM contents WHERE hash = ?", [name]
                ).fetchone()
            self.texts[name] = row[0]
        return self.texts[name]

    def prune(self):
        """Remove the projects that no run has used for a week, and old templates.

        Another run may use a template that is newer than a day.
        """
        with self.locked("template"):
            for place in self.folder.glob("templates/*"):
                if place.stat().st_mtime < time.time() - DAY:
                    shutil.rmtree(place)
        with self.database() as database:
            database.execute("DELETE FROM trees WHERE day < ?", [today() - KEPT_DAYS])
            database.execute(
                "DELETE FROM contents WHERE hash NOT IN"
                " (SELECT json_extract(value, '$[0]') FROM trees, json_each(tree))"
            )


class Rendered(Project):
    """A rendered project for reading only. Its folder is there once a test needs it."""

    def __init__(self, renders, answers, place):
        self.renders, self.place = renders, place
        self.tree = renders.tree(answers)

    @functools.cached_property
    def path(self):
        """Return the folder of the project, which is for reading only."""
        with self.renders.locked(str(self.place)):
            if not self.place.exists():
                draft = self.place.with_suffix(".draft")
                shutil.rmtree(draft, ignore_errors=True)
                self.write_to(draft)
                for path in (draft, *draft.rglob("*")):
                    path.chmod(path.stat().st_mode & 0o555)
                draft.rename(self.place)
        return self.place

    def write_to(self, folder):
        for name, (content, mode) in self.tree.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.renders.content(content))
            path.chmod(mode)

    def has(self, name):
        return name in self.tree

    def read(self, name):
        if name not in self.tree:
            raise FileNotFoundError(name)
        return self.renders.content(self.tree[name][0]).decode()

    def files(self):
        return set(self.tree)

    def copy_to(self, folder):
        self.write_to(folder)
        return Project(folder)

    def changes(self):
        """Return the files in the folder that are not as they were rendered."""
        if "path" not in vars(self):
            return set()
        found = {
            name: digest(path.read_bytes())
            for name, path in files_of(self.path).items()
        }
        rendered = {name: content for name, (content, _) in self.tree.items()}
        return {name for name, _ in found.items() ^ rendered.items()}


renders = Renders(CACHE)
