"""What a person sees in a terminal, as text for a page that a test compares."""

import itertools
import re

from tests.support.options import TEMPLATE

PAGE = TEMPLATE / "docs/first-five-minutes.md"
COLUMNS = 80
# A control sequence with its number and its letter, or one character
STEP = re.compile(r"\x1b\[\??(\d*)[\d;]*([A-Za-z])|\x1b.|([^\x1b])")


def screen(raw):
    """Return the lines that a terminal shows at the end, without those that were replaced.

    It knows what Copier's prompts send: text, and moves and deletions of a few kinds.
    """
    lines, row, column = [[]], 0, 0
    for number, letter, character in STEP.findall(raw):
        distance = int(number or 1)
        if letter == "A":
            row = max(row - distance, 0)
        elif letter == "C":
            column += distance
        elif letter == "D":
            column = max(column - distance, 0)
        elif letter in ("J", "K"):
            del lines[row][column:]
            del lines[row + 1 : None if letter == "J" else row + 1]
        elif character == "\r":
            column = 0
        elif character == "\n":
            row += 1
        elif character >= " ":
            row, column = (row + 1, 0) if column >= COLUMNS else (row, column)
            lines += [[] for _ in range(row + 1 - len(lines))]
            lines[row] += " " * (column + 1 - len(lines[row]))
            lines[row][column] = character
            column += 2 if character > "\uffff" else 1
        lines += [[] for _ in range(row + 1 - len(lines))]
    return ["".join(line).rstrip() for line in lines]


def conversation(raw):
    """Return what Copier shows, from its first question on; of the files, only a line."""
    lines = screen(raw)
    begin = next(at for at, line in enumerate(lines) if "?" in line)
    shown = [re.sub(r"^    create  .*", "    create  …", it) for it in lines[begin:]]
    version = "Copying from template version"
    shown = [line for line in shown if not line.startswith(version)]
    shown = [line for line, _ in itertools.groupby(shown)]
    return shown if shown[-1] else shown[:-1]


def gates(printed):
    """Return the lines of `make ci`, without times, in an order that is equal in each run.

    Gates that run at the same time end in any order.
    """
    aligned = re.sub(r"(passed)  +\d+\.\d s", r"\1      … s", printed)
    lines = re.sub(r"\d+\.\d s", "… s", aligned).splitlines()
    results = sorted(line for line in lines if "  passed " in line)
    others = iter(results)
    return [next(others) if line in results else line for line in lines]


def recorded(title):
    """Return the lines that the page has below a title."""
    pattern = rf"^## {title}\n.*?^```text\n(.*?)^```$"
    return re.search(pattern, PAGE.read_text(), re.DOTALL | re.MULTILINE)[
        1
    ].splitlines()
