"""Compare the commands of the pages with those that the tests run: a pytest plugin.

An audit hook sees each program that a test starts. At the end of a whole run, each command of
the pages is among them or in NOT_RUN, or the run fails.
"""

import contextlib
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cache import FRESH
from tests.support.options import TEMPLATE
from tests.support.suite import is_whole

PROJECT, CHECKOUT = "in a project", "in a checkout"
MAKEFILES = {PROJECT: "template/Makefile.jinja", CHECKOUT: "Makefile"}
# A file that shows what a folder is
MARKS = {PROJECT: "manage.py", CHECKOUT: "copier.yml"}
# Pages of a checkout about what to do in a project
ABOUT_PROJECTS = {"start.md", "troubleshooting.md", "update.md"}
LONG = "It takes minutes."
COMPOSE = (
    "The container engine of the tests has no Compose. tests/image/test_image.py runs what"
    " compose.yaml has for its services, and tests/image/test_files.py checks the rest."
)
REGISTRY = "It reads an image that is in a registry."
# The commands that no test runs, and why
NOT_RUN = {
    "make bench (in a checkout)": LONG,
    "make bench ARGS=suite (in a checkout)": LONG,
    "make session (in a checkout)": LONG,
    "PORT=8001 docker compose up": COMPOSE,
    "docker compose --profile production up --build proxy": COMPOSE,
    "docker compose --project-name OLD-SLUG down": COMPOSE,
    "docker compose down --volumes": COMPOSE,
    "docker compose run --rm test": COMPOSE,
    "docker compose run --rm test pytest --no-cov -k health": COMPOSE,
    "docker compose run --rm web python manage.py makemigrations": COMPOSE,
    "docker compose up --build": COMPOSE,
    "docker buildx imagetools inspect IMAGE:COMMIT --format '…'": REGISTRY,
}

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:[A-Z_]+=\S+ )*(?:make|uvx|python|docker compose) [^`]+)`")
EXPRESSION = re.compile(r'{{ "{{.*?}}" }}|{{.*?}}')  # of Jinja
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
# Words that stand for others: names to fill in, a shell's variables and patterns
PLACEHOLDER = re.compile(r"[<$*…~]")
SHELLS = {"bash", "sh"}
KEYWORDS = {"do", "then", "else", "if", "while", "!", "{"}
NO_COMMANDS = {"for", "done", "fi", "}"}
# What ends a command in a script of a shell
ENDS = set(";&|()\n")
IN_A_SHELL = "tests.in_a_shell"  # an event of ours
ENDED = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}


@dataclass(frozen=True)
class Step:
    """A program, and the words that say what it does: targets, variables, names of files."""

    program: str
    words: frozenset


class Record:
    """The steps that tests have run, of those that the pages have."""

    def __init__(self, documented):
        self.documented = documented
        self.steps = set().union(*documented.values())
        self.programs = {step.program for step in self.steps}
        self.run, self.faults = set(), []

    def see(self, event, arguments):
        """Record what an event of Python's runtime starts."""
        if event == "subprocess.Popen":
            _, command, folder, environment = arguments
            command = [os.fsdecode(argument) for argument in command]
            given = os.environ if environment is None else environment
            self.add(command, folder or ".", given)
        elif event == IN_A_SHELL:
            script, folder = arguments
            self.add(["sh", "-c", script], folder)

    def add(self, command, folder=None, environment=()):
        """Record a command, in a folder that may be unknown."""
        for step in steps_of(command, self.programs, places(folder), environment):
            self.run |= {
                it
                for it in self.steps - self.run
                if it.program == step.program and it.words <= step.words
            }


def places(folder):
    """Return what a folder is. An unknown one may be both."""
    return {it for it in MARKS if folder is None or Path(folder, MARKS[it]).exists()}


def steps_of(command, programs, places=(), environment=()):
    """Yield each of these programs in a list of arguments, with the words after it."""
    variables = dict(environment)
    for number, argument in enumerate(command):
        program, rest = name_of(argument), command[number + 1 :]
        if program in SHELLS and rest and re.fullmatch("-[a-z]*c", rest[0]):
            for part in parts_of(rest[1]):
                yield from steps_of(part, programs, places, variables)
        elif assigned := ASSIGNMENT.fullmatch(argument):
            variables[assigned[1]] = assigned[2]
        elif program in programs:
            words = words_of(rest)
            if program == "make":
                if "--dry-run" in rest:
                    return
                words |= {*places, *words_of_make(rest, variables)}
            yield Step(program, frozenset(words))


def words_of_make(arguments, environment):
    """Return the variables of make, and the words of a command that is one of them."""
    assigned = filter(None, map(ASSIGNMENT.fullmatch, arguments))
    variables = dict(environment) | dict(it.groups() for it in assigned)
    found = {f"{name}=" for name in variables}
    if {"manage", "run"} & {*arguments}:
        for part in parts_of(variables.get("ARGS", "")):
            found |= words_of(part)
    return found


def words_of(arguments):
    """Return the words that are no options: names of files, of variables, and others."""
    found = set()
    for argument in arguments:
        if assigned := ASSIGNMENT.fullmatch(argument):
            found.add(f"{assigned[1]}=")
        elif not argument.startswith("-") and not PLACEHOLDER.search(argument):
            found.add(name_of(argument))
    return found


def name_of(argument):
    """Return the last part of a path; each Python is `python`."""
    name = os.path.basename(argument.rstrip("/"))
    return re.sub(r"^python3?(\.\d+)?$", "python", name)


def parts_of(script):
    """Return the commands of a shell's script, each as a list of arguments.

    Those after a quote without its end are left out.
    """
    lexer = shlex.shlex(script, posix=True, punctuation_chars="".join(ENDS))
    lexer.whitespace, lexer.whitespace_split = " \t", True
    parts = [[]]
    with contextlib.suppress(ValueError):
        for token in lexer:
            if ENDS.issuperset(token):
                parts.append([])
            elif parts[-1] or token not in KEYWORDS:
                parts[-1].append(token)
    return [part for part in parts if part and part[0] not in NO_COMMANDS]


def commands_of(text):
    """Return the commands of a page: lines of console blocks, and those in its text."""
    blocks = re.sub(r"{%.*%}\n", "", "".join(BLOCK.findall(text)))
    lines = [line.partition("#")[0].strip() for line in blocks.splitlines()]
    return {*lines, *INLINE.findall(text)} - {""}


def pages():
    """Return the pages with commands: those of a checkout, and those of projects."""
    own = [TEMPLATE / "README.md", *sorted((TEMPLATE / "docs").glob("*.md"))]
    template, parts = TEMPLATE / "template", TEMPLATE / "extensions/pages"
    rendered = [*template.glob("*.md.jinja"), *template.glob("docs/*.md.jinja")]
    return own, [*rendered, *parts.rglob("*.md")]


def documented():
    """Return the steps of each command of the pages, by the command and where it is run."""
    own, rendered = pages()
    targets = {
        place: set(re.findall(r"^([a-z0-9-]+):", (TEMPLATE / name).read_text(), re.M))
        for place, name in MAKEFILES.items()
    }
    of_platforms = [*(TEMPLATE / "extensions/pages/deployment").iterdir()]
    found = {}
    for page in [*own, *rendered]:
        first = PROJECT if page in rendered or page.name in ABOUT_PROJECTS else CHECKOUT
        for command in commands_of(page.read_text()):
            # tests/docs/test_docs.py compares a platform's commands with its own.
            if page in of_platforms and not command.startswith("make "):
                continue
            command = EXPRESSION.sub("…", command)
            steps = documented_steps(command)
            words = set().union(*(step.words for step in steps))
            place = first if words & targets[first] else ({*MAKEFILES} - {first}).pop()
            if "make" in {step.program for step in steps}:
                command = f"{command} ({place})"
            found[command] = {
                Step(it.program, it.words | {place}) if it.program == "make" else it
                for it in steps
            }
    return found


def documented_steps(command):
    """Return the steps of a command of a page. `uvx` only fetches a program that others have."""
    parts = parts_of(command.removeprefix("uvx "))
    programs = {name_of(word) for part in parts for word in part}
    return {next(steps_of(part, programs)) for part in parts}


def faults(documented, run, not_run):
    """Return what differs between the commands of the pages and the steps that were run."""
    missing = {it for it, steps in documented.items() if not steps <= run}
    found = {
        "No test runs": missing - not_run.keys(),
        "A test runs this exception": not_run.keys() & documented.keys() - missing,
        "No page has this exception": not_run.keys() - documented.keys(),
    }
    return [f"{fault}: {it}" for fault in found for it in sorted(found[fault])]


def ran_in_shell(script, folder=None):
    """Report what a test lets a running shell do, in a folder that may be unknown."""
    sys.audit(IN_A_SHELL, script, folder)


def pytest_configure(config):
    config.commands = Record(documented())
    sys.addaudithook(config.commands.see)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for program, *words in getattr(node, "workeroutput", {}).get("commands", []):
        node.config.commands.run.add(Step(program, frozenset(words)))


def pytest_sessionfinish(session):
    """Let a worker report what it has run, and a whole run fail if that was not all."""
    config, record = session.config, session.config.commands
    whole = is_whole(config.invocation_params.args, os.environ, FRESH)
    if hasattr(config, "workeroutput"):
        run = [[step.program, *step.words] for step in record.run]
        config.workeroutput["commands"] = run
    elif whole and session.exitstatus in ENDED:
        record.faults = faults(record.documented, record.run, NOT_RUN)
        if record.faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    if config.commands.faults:
        terminalreporter.section("commands of the pages", red=True)
        terminalreporter.write("\n".join([*config.commands.faults, ""]))
