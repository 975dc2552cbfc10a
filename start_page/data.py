"""All files and pipelines of all projects, as one document that the page reads."""

import functools
import inspect
import itertools
import json
import sys
from dataclasses import asdict

from start_page.contents import existence, files, segments
from start_page.decisions import Decisions
from start_page.questions import (
    CHOICES,
    ORDER,
    QUESTIONS,
    asked,
    combinations,
    context,
    default_of,
    key,
    names_in,
    parse,
    questions_of,
    refusal,
    root,
    template,
)
from tests.pipelines.model import PIPELINE, expected

# A result that stands for the line with the address of the template
ADDRESS = None
# What the picture shows of a job: see tests/pipelines/model.py.
SHOWN = ["run", "needs", "services", "may_fail", "manual", "main_only", "inputs"]
SHOWN += ["write_permissions", "logs_in"]
WORKFLOWS = {
    "request": "When a change is proposed",
    "main": "When main changes",
    "nightly": "Each night",
    "rollback": "When a person starts a rollback",
}


class Contents:
    """The files of each project, in decisions.

    `files` has for each path: a decision on whether a project has the file, if it is
    executable, and the decisions on its segments. A segment is a text, or ADDRESS.
    """

    def __init__(self):
        self.decisions, self.files = Decisions(), {}
        questions, table = existence()
        for source, target in files().items():
            exists = {at: source in present for at, present in table.items()}
            if not any(exists.values()):
                continue
            presence = self.decisions.decide(questions, exists)
            is_executable = bool((root() / source).stat().st_mode & 0o100)
            parts = self.parts(source, presence)
            self.files[target] = presence, is_executable, parts

    def parts(self, source, presence):
        """Return the decisions on the segments of a file, without what has no text."""
        if not source.endswith(".jinja"):
            return [self.decisions.result((root() / source).read_text())]
        needed = frozenset(ORDER[it] for it in self.decisions.support(presence))
        exists = {
            key(answers, needed): self.decisions.follow(presence, answers)
            for answers in combinations(needed)
        }
        found = []
        for questions, table in segments(source, (needed, exists)):
            if table is None:
                found += [self.decisions.result(ADDRESS), *self.recorded.values()]
            elif set(table.values()) != {""}:
                found.append(self.decisions.decide(questions, table))
        return self.joined(found)

    @functools.cached_property
    def recorded(self):
        """Return the decision on the line of each answer in `.copier-answers.yml`."""
        found = {}
        for name in sorted(QUESTIONS):
            questions = questions_of({name, *when_names(name)})
            found[name] = self.tabulate(questions, lambda it, name=name: line(name, it))
        return found

    def joined(self, parts):
        """Return the decisions with texts that follow each other as one."""
        found, results = [], self.decisions.results
        for part in parts:
            last = found[-1] if found else part
            is_text = all(it >= 0 and results[it] is not ADDRESS for it in (last, part))
            if found and is_text:
                found[-1] = self.decisions.result(results[last] + results[part])
            else:
                found.append(part)
        return found

    def has(self, path, answers):
        """Return whether a project with these answers has a file."""
        return path in self.files and self.decisions.follow(
            self.files[path][0], answers
        )

    def text(self, path, answers, address=""):
        """Return the text of a file of a project with these answers."""
        parts = [self.decisions.follow(it, answers) for it in self.files[path][2]]
        return "".join(address if part is ADDRESS else part for part in parts)

    def tabulate(self, questions, value):
        """Return the decision on a function of the answers to some questions."""
        table = {key(it, questions): value(it) for it in combinations(questions)}
        return self.decisions.decide(questions, table)

    def pipelines(self):
        """Return for each workflow the decision on each of its jobs, a text in JSON or none."""
        questions = frozenset(inspect.signature(expected).parameters.keys() & {*ORDER})
        tables = {name: {job: {} for job in PIPELINE[name]} for name in WORKFLOWS}
        for answers in combinations(questions):
            for workflow, jobs in expected(**answers).items():
                for name, job in jobs.items():
                    shown = json.dumps(describe(name, job, answers))
                    tables[workflow][name][key(answers, questions)] = shown
        every = dict.fromkeys(
            (key(it, questions) for it in combinations(questions)), ""
        )
        return {
            workflow: [
                self.decisions.decide(questions, every | table)
                for table in jobs.values()
            ]
            for workflow, jobs in tables.items()
        }

    def earlier(self):
        """Return what the page reads of an earlier version: the questions and the files."""
        questions = [
            {
                "name": name,
                "default": [it.value for it in choices].index(default_of(name)),
                "values": [text_of(it.value) for it in choices],
                "labels": [it.label for it in choices],
                "line": self.recorded[name],
                "skipped": self.tabulate(
                    questions_of(when_names(name)),
                    lambda it, name=name: reason(name, it),
                ),
                "refused": [
                    self.tabulate(
                        questions_of(names_in(parse(it.validator))) - {name},
                        lambda answers, it=it: refusal(it, answers).partition(":")[0],
                    )
                    for it in choices
                ],
            }
            for name, choices in CHOICES.items()
        ]
        return {
            "questions": questions,
            "files": [[path, *parts] for path, parts in sorted(self.files.items())],
            "nodes": self.decisions.nodes,
            "results": self.decisions.results,
        }

    @functools.cached_property
    def document(self):
        """Return everything that the page reads, for JSON."""
        workflows = [
            {"title": WORKFLOWS[name], "jobs": jobs}
            for name, jobs in self.pipelines().items()
        ]
        return self.earlier() | {"workflows": workflows}


def describe(name, job, answers):
    """Return what the picture shows of a job, with the names of the secrets that it can read."""
    row = context(answers)["target"]
    found = {key: it for key, it in asdict(job).items() if key in SHOWN and it}
    secrets = {
        "staging": row.get("secrets", []),
        "production": row.get("secrets", []),
        "registry": (
            ["the key that pushes the image"]
            if "make publish" in job.run
            else ["the token that pulls the image"]
        ),
        "e2e": ["SMOKE_HEADER_STAGING"],
        "template": ["the token that opens the request"],
    }
    found["secrets"] = [it for group in job.secrets for it in secrets[group]]
    return {"name": name} | found


def when_names(name):
    """Return the names that decide whether a question is asked."""
    return names_in(parse(str(QUESTIONS[name].get("when", ""))))


def text_of(value):
    """Return a value as `-d name=value` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def line(name, answers):
    """Return the line of an answer in `.copier-answers.yml`, or an empty text."""
    if not asked(name, answers):
        return ""
    values = {"answer": {name: context(answers)[name]}}
    return template("{{ answer | to_nice_yaml }}").render(values)


def reason(name, answers):
    """Return why a question is not asked after these answers, or an empty text.

    It is the smallest change of other answers with which the question is asked.
    """
    if asked(name, answers):
        return ""
    others = [it for it in ORDER if it in questions_of(when_names(name))]
    for size in range(1, len(others) + 1):
        for chosen in itertools.combinations(others, size):
            kept = {it: answers[it] for it in answers if it not in chosen}
            found = [
                {it: other[it] for it in chosen}
                for other in combinations(frozenset(others))
                if asked(name, kept | {it: other[it] for it in chosen})
            ]
            if found:
                parts = [f"{it} is {listed(it, found)}" for it in chosen]
                return f"Copier asks this if {' and '.join(parts)}"
    raise AssertionError(f"copier.yml never asks {name}")


def listed(name, found):
    """Return the values of a question in some sets of answers, for a sentence."""
    words = {True: "yes", False: "no"}
    return " or ".join(
        dict.fromkeys(str(words.get(answers[name], answers[name])) for answers in found)
    )


@functools.cache
def contents():
    """Return the files of each project of the template as it is here."""
    return Contents()


if __name__ == "__main__":
    json.dump(contents().earlier(), sys.stdout)
