"""The table of docs/questions.md, which `make docs` writes from copier.yml.

Only its last column is written by hand.
"""

import re

from tests.support.options import DEFAULTS, QUESTIONS, TEMPLATE, choices, labels

PAGE = TEMPLATE / "docs/questions.md"
HEAD = """\
| Question | Answers | Default | What it changes |
| --- | --- | --- | --- |
"""
TABLE = re.compile(r"^\| Question \|.*(?:\n\|.*)*\n", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)`.*\| (.*) \|$", re.MULTILINE)


def with_table(page):
    """Return the page with the questions, answers and defaults of copier.yml."""
    effects = dict(ROW.findall(page))
    rows = [
        f"| `{name}`<br>{question['help']} | {answers(name)} | {default(name)}"
        f" | {effects.get(name, '')} |\n"
        for name, question in QUESTIONS.items()
    ]
    return TABLE.sub(lambda _: HEAD + "".join(rows), page)


def answers(name):
    """Return what a question accepts: its choices, or what its validator demands."""
    question = QUESTIONS[name]
    if question["type"] == "bool":
        return "yes, no"
    if "choices" in question:
        named = labels(name)
        return "<br>".join(
            f"`{value}`" + f" {named[value]}" * (named[value] != value)
            for value in choices(name)
        )
    # Each message follows the tag with its condition.
    pairs = re.findall(r"{%(.*)%}\s*([^\s{].*)", question["validator"])
    return " ".join(message for condition, message in pairs if name in condition)


def default(name):
    """Return what a question has without an answer."""
    if name not in DEFAULTS:
        return "from other answers"
    value = DEFAULTS[name]
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
