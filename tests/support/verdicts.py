"""Verdicts that are kept between test runs: what has passed is not judged again.

The key of a verdict is a hash of everything that it depends on: what is judged, the
versions of the tools, and the source of the checking code. Only passes are kept. With
`FRESH=1` a run ignores what earlier runs kept; it still judges equal input only once.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from tests.support.cache import CACHE, FRESH, RUN, Cache, today
from tests.support.options import TEMPLATE

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, run TEXT, day INTEGER)"
)
KEPT_DAYS = 30
# The packages of the test environment: most tools are among them.
PACKAGES = sorted([it.name, it.version] for it in importlib.metadata.distributions())


class Verdicts(Cache):
    """The kept verdicts of a folder."""

    def __init__(self, folder, run=RUN, fresh=FRESH):
        super().__init__(folder, "verdicts", SCHEMA, run, fresh)
        self.earlier = self.judged = 0

    def once(self, kind, parts, judge):
        """Judge something unless it has passed; return the findings, none for a pass.

        `kind` names the check. `parts` is everything that the verdict depends on, as JSON
        can hold it. `judge` is called without arguments, and returns findings or raises:
        then nothing is kept. Another worker that needs the same verdict waits for this one.
        """
        found = self.each(
            kind, {"it": parts}, lambda _: {"it": judge()}, key_of(kind, parts)
        )
        return found["it"]

    def each(self, kind, items, judge, lock=""):
        """Judge, in one call, all items that have not passed; return the findings of each.

        `items` maps a name to the parts of its key (see `once`). `judge` gets the list of
        names to judge, and returns the findings of each by name. While one worker judges,
        others wait that need the same lock: by default, the one of this kind.
        """
        keys = {name: key_of(kind, parts) for name, parts in items.items()}
        found = dict.fromkeys(self.passed(keys.values()), [])
        if keys.values() - found.keys():
            with self.locked(lock or kind):
                found |= dict.fromkeys(self.passed(keys.values() - found.keys()), [])
                # One name for each key
                names = {key: name for name, key in keys.items() if key not in found}
                self.forget(names)
                judged = judge(list(names.values())) if names else {}
                assert judged.keys() == set(names.values()), "an item has no verdict"
                self.judged += len(names)
                found |= {key: judged[name] or [] for key, name in names.items()}
                self.keep(key for key in names if not found[key])
        return {name: found[key] for name, key in keys.items()}

    def passed(self, keys):
        """Return those of the keys whose verdict is a pass that counts in this run."""
        keys = set(keys)
        with self.database() as database:
            # JSON, because SQLite limits the number of parameters of a statement.
            rows = database.execute(
                "SELECT key, run, day FROM verdicts"
                " WHERE key IN (SELECT value FROM json_each(?))",
                [json.dumps(sorted(keys))],
            ).fetchall()
            found = {key for key, run, _ in rows if self.counts(run)}
            old = [key for key, _, day in rows if key in found and day != today()]
            if old:
                database.executemany(
                    "UPDATE verdicts SET day = ? WHERE key = ?",
                    [(today(), key) for key in old],
                )
        self.earlier += sum(run != self.run for key, run, _ in rows if key in found)
        return found

    def forget(self, keys):
        """Remove verdicts: what is judged again may fail this time."""
        with self.database() as database:
            database.executemany(
                "DELETE FROM verdicts WHERE key = ?", [[key] for key in keys]
            )

    def keep(self, keys):
        """Record passes, and remove those that no run has used for a month."""
        with self.database() as database:
            database.executemany(
                "INSERT INTO verdicts VALUES (?, ?, ?)",
                [(key, self.run, today()) for key in keys],
            )
            database.execute(
                "DELETE FROM verdicts WHERE day < ?", [today() - KEPT_DAYS]
            )

    def summary(self):
        """Return how many verdicts are from earlier runs, and how many from this one."""
        return {"earlier": self.earlier, "judged": self.judged}


def key_of(kind, parts):
    """Return the key of a verdict."""
    text = json.dumps([kind, parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def tools_of(*names):
    """Return the versions of these tools: of Python packages, or what a program prints."""
    return {"python": sys.version} | {name: version_of(name) for name in names}


def version_of(name):
    """Return the version of a Python package, or what a program prints as its own."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    done = subprocess.run([name, "--version"], check=True, capture_output=True)
    return done.stdout.decode()


@functools.cache
def code_of(*things):
    """Return a hash of the source of modules, and of all modules of tests/ they import.

    A function or class stands for the whole module that defines it; a path, for a file.
    """
    files = [thing for thing in things if isinstance(thing, Path)]
    sources = {path.name: path.read_text() for path in files}
    names = {
        getattr(thing, "__module__", None) or thing.__name__
        for thing in things
        if thing not in files
    }
    while names := names - sources.keys():
        for name in names:
            sources[name] = source(name)
        names = {it for name in names for it in imported(sources[name])}
    text = json.dumps(sources, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def source(name):
    """Return the source of a module or package, or nothing if there is none."""
    place = TEMPLATE.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.exists():
            return path.read_text()
    return ""


@functools.cache
def imported(text):
    """Return the modules of tests/ that a source imports, and names that may be modules."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
            found.add(node.module)
    return {name for name in found if name.split(".")[0] == "tests"}


kept = Verdicts(CACHE)
once, each = kept.once, kept.each
