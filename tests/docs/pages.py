"""What a page names: make targets, files, links and its own anchors."""

import ast
import re

from tests.support.options import TEMPLATE

LINK = re.compile(
    r"""(?:\]\(|<a href="|<img src=")(?![a-z]+:)([^)#\s"]*)(?:#([^)"]*))?[)"]"""
)
TARGET = re.compile(r"(?:^ *|`)make (?:-C \S+ )?([a-z0-9-]+)", re.MULTILINE)
FILE = re.compile(r"`([\w.-]+/[\w./-]*|[\w-]+\.(?:py|md|toml|ya?ml|txt|json))`")


class Page:
    """What a page names, and the anchors that it has."""

    def __init__(self, text):
        self.links = LINK.findall(text)
        self.targets = set(TARGET.findall(text))
        self.files = {name.strip("/") for name in FILE.findall(text)}
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        self.anchors = {anchor(it) for it in re.findall("^#+ (.*)$", prose, re.M)}


def anchor(heading):
    """Return the anchor that GitHub and GitLab give a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")


def functions(path):
    """Return the names of the functions of a module of tests."""
    tree = ast.parse((TEMPLATE / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
