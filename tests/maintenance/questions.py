"""The tables of docs/questions.md, which `make docs` writes from copier.yml.

Only their last column is written by hand.
"""

import re

from tests.support.options import (
    DEFAULTS,
    GROUPS,
    QUESTIONS,
    TEMPLATE,
    choices,
    labels,
)

PAGE = TEMPLATE / "docs/questions.md"
HEAD = """\
| Question | Answers | Default | What it changes |
| --- | --- | --- | --- |
"""
ROW = re.compile(r"^\| `(\w+)`.*\| (.*) \|$", re.MULTILINE)


def with_tables(page):
    """Return the page with the questions, answers and defaults of copier.yml."""
    effects = dict(ROW.findall(page))
    introduction = page.partition("\n## ")[0]
    tables = [
        f"\n## {heading}\n\n{HEAD}" + "".join(row(name, effects) for name in names)
        for heading, names in GROUPS.items()
    ]
    return introduction + "".join(tables)


def row(name, effects):
    """Return the row of a question, with what it changes."""
    question = f"`{name}`<br>{QUESTIONS[name]['help']}"
    effect = effects.get(name, "")
    return f"| {question} | {answers(name)} | {default(name)} | {effect} |\n"


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
