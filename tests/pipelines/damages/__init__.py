"""Damages to each provider's pipeline files: the comparison must see every one of them.

A damage is one or more rows with the same name: (name, path, operation, value). A path
is the keys that lead to a value, separated by slashes. Where a provider has several
files, it begins with the name of one. In a list, a part of a path is a number, "end", or
a word: the item that is the word or has it as a key, else the only one that contains it.
"""

import copy
import re
from pathlib import Path

from tests.pipelines.damages import circleci, github, gitlab


def by_name(rows):
    """Return the rows of each damage, without the name."""
    damages = {}
    for name, *row in rows:
        damages.setdefault(name, []).append(row)
    return damages


DAMAGES = {
    "github": by_name(github.ROWS),
    "gitlab": by_name(gitlab.ROWS),
    "circleci": by_name(circleci.ROWS),
}


# With a registry that has keys of its own, on the providers that have another one
KEY_DAMAGES = {"github": by_name(github.KEYS), "gitlab": by_name(gitlab.KEYS)}


def damage(files, rows):
    """Change parsed files in place. A path that does not exist is an error."""
    for path, operation, *value in rows:
        OPERATIONS[operation](files, *find(files, path), *value)


def find(files, path):
    """Return the mapping or the list that holds a value, and its key or number there."""
    parts = path.split("/")
    (node,) = files.values() if len(files) == 1 else (files,)
    if node is files:
        stems = {Path(name).stem: name for name in files}
        parts[0] = stems[parts[0]]
    for part in parts[:-1]:
        parent, node = node, node[position(node, part)]
        if isinstance(parent, list) and isinstance(node, dict) and [*node] == [part]:
            node = node[part]  # An item such as {"run": {...}} stands for its value.
    return node, position(node, parts[-1])


def position(node, part):
    """Return the key of a mapping, or the number of an item of a list."""
    if isinstance(node, dict):
        return part
    if part == "end":
        return len(node)
    if part.isdigit():
        assert int(part) < len(node), f"no item {part} in {node}"
        return int(part)
    named = [it for it in node if it == part or isinstance(it, dict) and part in it]
    found = named or [it for it in node if part in str(it)]
    assert len(found) == 1, f"{len(found)} items for {part} in {node}"
    return node.index(found[0])


def remove(files, container, key):
    del container[key]


def add(files, container, key, value):
    """Add a key to a mapping, or an item to a list before the one at this number."""
    if isinstance(container, list):
        container.insert(key, value)
    else:
        assert key not in container, f"{key} exists"
        container[key] = value


def replace(files, container, key, value):
    remove(files, container, key)
    add(files, container, key, value)


def substitute(files, container, key, pattern, replacement):
    container[key], number = re.subn(pattern, replacement, container[key])
    assert number, f"no {pattern}"


def copy_from(files, container, key, path):
    source, source_key = find(files, path)
    add(files, container, key, copy.deepcopy(source[source_key]))


def move(files, container, key, number):
    """Move an item of a list to another number of the same list."""
    item = container.pop(key)
    container.insert(position(container, number), item)


OPERATIONS = {
    "add": add,
    "copy from": copy_from,
    "move": move,
    "remove": remove,
    "replace": replace,
    "substitute": substitute,
}
