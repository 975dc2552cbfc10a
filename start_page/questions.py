"""The questions with choices, and which of their answers go together."""

import functools
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from copier import _user_data as user_data
from copier._main import Worker
from jinja2 import nodes

from tests.support.options import TEMPLATE, questions_in, validators, values_of
from tests.support.rendering import renders

# The variable that has the folder of an earlier version of the template: see earlier.py
EARLIER = "START_PAGE_EARLIER"
CONFIGURATION = yaml.safe_load(
    Path(os.environ.get(EARLIER) or TEMPLATE, "copier.yml").read_text()
)
QUESTIONS = questions_in(CONFIGURATION)


@functools.cache
def root():
    """Return the folder of the template to read, without its git history."""
    return Path(os.environ.get(EARLIER) or renders.template)


@functools.cache
def environment():
    """Return Copier's own Jinja environment."""
    return worker().jinja_env


@functools.cache
def parse(text):
    return environment().parse(text)


@functools.cache
def template(text):
    return environment().from_string(text)


@functools.cache
def worker():
    """Return Copier's worker for a copy of the template without its git history."""
    return Worker(src_path=str(root()), dst_path=TEMPLATE / "new", quiet=True)


@dataclass(frozen=True)
class Choice:
    """A value that a question can have: its label, and Jinja that renders why it is refused."""

    question: str
    label: str
    value: object
    validator: str


def read_choices(name):
    """Return the choices of a question, in the order in which Copier lists them."""
    question = QUESTIONS[name]
    validator = question.get("validator", "")
    if question["type"] == "bool":
        values = {"No": False, "Yes": True}
        return [Choice(name, label, it, validator) for label, it in values.items()]
    listed = question["choices"]
    if isinstance(listed, list):
        listed = {value: value for value in listed}
    refusals = validators(listed)
    found = []
    for label, choice in listed.items():
        value = choice["value"] if isinstance(choice, dict) else choice
        if value in values_of(question):
            found.append(Choice(name, label, value, refusals[value] + validator))
    return found


def has_choices(question):
    return question["type"] == "bool" or "choices" in question


# The choices of each question that has some. The others keep their defaults on the page.
CHOICES = {
    name: read_choices(name) for name, it in QUESTIONS.items() if has_choices(it)
}
ORDER = list(CHOICES)
# Each value that copier.yml computes from the answers, or asks for as a text
COMPUTED = {
    name: it
    for name, it in CONFIGURATION.items()
    if not name.startswith("_") and name not in CHOICES
}


def names_in(node):
    """Return each name that a part of a template reads, and also those of its loops."""
    found = {node.name} if isinstance(node, nodes.Name) else set()
    return found | {it.name for it in node.find_all(nodes.Name)}


@functools.cache
def source_of(name):
    return (root() / name).read_text()


@functools.cache
def context_imports():
    """Return what each name depends on that is imported with the context of the importer."""
    found = {}
    texts = [
        it["default"] for it in COMPUTED.values() if isinstance(it["default"], str)
    ]
    texts += [path.read_text() for path in template_files()]
    for text in texts:
        for node in parse(text).find_all(nodes.FromImport):
            if node.with_context:
                file = parse(source_of(node.template.value))
                for name in node.names:
                    alias = name[1] if isinstance(name, tuple) else name
                    found.setdefault(alias, set()).update(names_in(file))
    return found


@functools.cache
def template_files():
    """Return each file that Jinja reads."""
    return [
        *sorted((root() / "template").rglob("*.jinja")),
        *sorted(path for path in (root() / "extensions").rglob("*") if path.is_file()),
    ]


@functools.cache
def inputs(name):
    """Return the questions with choices on which the value of a name depends."""
    return questions_of({name})


def default_names(name):
    """Return the names that the default of a computed value reads."""
    default = COMPUTED.get(name, {}).get("default")
    if not isinstance(default, str):
        return set()
    return names_in(parse(default))


def questions_of(names, locals_=None):
    """Return the questions with choices on which any of these names depends.

    `locals_` has, for each name that templates set, the names that its value depends on.
    """
    pending, seen, found = set(names), set(), set()
    while pending := pending - seen:
        for name in list(pending):
            seen.add(name)
            if name in CHOICES:
                found.add(name)
            pending |= default_names(name)
            pending |= context_imports().get(name, set())
            pending |= (locals_ or {}).get(name, set())
    return frozenset(found)


# Answers


def default_of(name):
    """Return the answer of a new project to a question with choices."""
    default = QUESTIONS[name]["default"]
    if isinstance(default, str):
        return template(default).render()
    return default


@functools.cache
def defaults():
    return {name: default_of(name) for name in CHOICES}


def key(answers, questions):
    """Return the answers to some questions, in the order of the questions."""
    return tuple(answers[name] for name in ORDER if name in questions)


computed = {}


def context(answers):
    """Return every value that a template can read, for answers to all questions with choices."""
    values = dict(answers)
    for name, question in COMPUTED.items():
        known = name, key(answers, inputs(name))
        if known not in computed:
            computed[known] = compute(question, values)
        values[name] = computed[known]
    return values


def compute(question, values):
    """Return the value of a question that is not asked."""
    default = question["default"]
    if isinstance(default, str):
        default = template(default).render(values)
    return user_data.CAST_STR_TO_NATIVE[question["type"]](default)


def asked(name, answers):
    """Return whether Copier asks a question after these answers."""
    when = QUESTIONS[name].get("when", "true")
    text = template(str(when)).render(context(answers))
    return user_data.cast_to_bool(text)


def refusal(choice, answers):
    """Return why Copier refuses a choice with these other answers, or an empty text."""
    values = context(answers | {choice.question: choice.value})
    return template(choice.validator).render(values).strip()


def accepted(answers):
    """Return whether these answers can be those of a project.

    A question that is not asked has its default.
    """
    for name, value in answers.items():
        choice = next(it for it in CHOICES[name] if it.value == value)
        if value != defaults()[name] and not asked(name, answers):
            return False
        if refusal(choice, answers):
            return False
    return True


@functools.cache
def conditions(name):
    """Return the other questions that decide which answers a question can have."""
    texts = [str(QUESTIONS[name].get("when", ""))]
    texts += [choice.validator for choice in CHOICES[name]]
    names = set().union(*(names_in(parse(text)) for text in texts))
    return questions_of(names) - {name}


@functools.cache
def groups():
    """Return the questions in groups; the answers in one do not restrict those in another."""
    found = []
    for name in ORDER:
        joined = {name, *conditions(name)}
        for group in [group for group in found if group & joined]:
            found.remove(group)
            joined |= group
        found.append(joined)
    return [tuple(name for name in ORDER if name in group) for group in found]


@functools.cache
def rows(group):
    """Return each accepted set of answers to the questions of a group, defaults first."""
    options = [[choice.value for choice in CHOICES[name]] for name in group]
    found = [
        dict(zip(group, values, strict=True)) for values in itertools.product(*options)
    ]
    found = [row for row in found if accepted(defaults() | row)]
    return sorted(found, key=lambda row: row != {it: defaults()[it] for it in group})


@functools.cache
def combinations(questions):
    """Return one whole set of answers for each accepted set of answers to some questions."""
    parts = []
    for group in groups():
        chosen = {}
        for row in rows(group):
            chosen.setdefault(key(row, questions & {*group}), row)
        parts.append(list(chosen.values()))
    found = []
    for several in itertools.product(*parts):
        merged = {name: value for row in several for name, value in row.items()}
        found.append({name: merged[name] for name in ORDER})
    return found
