"""The commands that a page names."""

import re

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:make|uvx|python) [^`]+)`")


def commands_of(text):
    """Return the commands of a page: lines of console blocks, and those in its text."""
    blocks = re.sub(r"{%.*%}\n", "", "".join(BLOCK.findall(text)))
    lines = [line.partition("#")[0].strip() for line in blocks.splitlines()]
    return {*lines, *INLINE.findall(text)} - {""}
