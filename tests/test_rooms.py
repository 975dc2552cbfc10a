"""The modules of tests/ import each other as tests/support/rooms.py lists."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.options import TEMPLATE
from tests.support.rooms import ROOMS

TESTS = TEMPLATE / "tests"
# Folders of scripts, which no test imports
SCRIPTS = ("clock", "stand_ins")
MODULES = {
    ".".join(path.relative_to(TEMPLATE).with_suffix("").parts): path
    for path in TESTS.rglob("*.py")
    if path.parent.name not in SCRIPTS
}


def imports(path):
    """Return the modules of tests/ that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not getattr(node, "level", 0), f"{path} has a relative import"
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
            found.add(node.module)
    return found & {name.removesuffix(".__init__") for name in MODULES}


def room(name):
    """Return the room of a module, or an empty text for a module of no room."""
    second = name.split(".")[1]
    return second if second in ROOMS else ""


def test_every_folder_of_modules_is_a_room():
    folders = {path.parent.relative_to(TESTS).parts[:1] for path in MODULES.values()}
    assert {folder[0] for folder in folders if folder} == ROOMS.keys()


def test_rooms_import_what_the_table_lists():
    found = {name: set() for name in ROOMS}
    for name, path in MODULES.items():
        if room(name):
            found[room(name)] |= {room(it) for it in imports(path)} - {room(name), ""}
    assert {name: sorted(others) for name, others in found.items()} == ROOMS


def test_rooms_import_only_rooms_below_them():
    below = set()
    for name, others in ROOMS.items():
        assert below >= set(others), f"{name} imports a room that comes later"
        below.add(name)


def test_no_module_imports_a_test_module():
    for name, path in MODULES.items():
        lasts = {it.rpartition(".")[2] for it in imports(path)}
        wrong = [it for it in lasts if it.startswith(("test_", "conftest"))]
        assert not wrong, f"{name} imports {wrong}"


def test_no_module_shadows_another_package():
    # A script has its own folder on sys.path, and so have modules outside of a package.
    known = sys.stdlib_module_names | packages_distributions().keys()
    assert {path.stem for path in TESTS.rglob("*.py")} & known == set()
    assert not [place for place in sys.path if Path(place).is_relative_to(TESTS)]
