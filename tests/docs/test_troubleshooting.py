"""The page about troubleshooting has an entry for each message of a generated project."""

import re

import pytest

from tests.docs.messages import Module, messages_of
from tests.support.options import FULL, TEMPLATE
from tests.support.tracked import tracked

PAGE = (TEMPLATE / "docs/troubleshooting.md").read_text()
ENTRIES = dict(re.findall(r"^### (.*)\n\n([^#]*)", PAGE, re.MULTILINE))


def pattern(heading):
    """Return what the beginning of a message matches, up to the end of a part of it.

    A placeholder inside stands for no end of a part.
    """
    begin, end = heading.removesuffix("…"), heading.endswith("…") * ".*"
    text = re.escape(begin).replace("…", "[^.:]*") + end
    return re.compile(text + r"($|\.$|[.:;,] | \(|(?<=[.:?]) )")


PATTERNS = {heading: pattern(heading) for heading in ENTRIES}
# Projects that have every file with a message
PROJECTS = [
    {"ci_provider": "github", "deploy_target": "kubernetes", "template_updates": "job"},
    {"ci_provider": "gitlab", "deploy_target": "fly", "template_updates": "job"},
    {"ci_provider": "github", "deploy_target": "kamal"},
    {"ci_provider": "github", "deploy_target": "heroku", "use_docker": False},
    {"ci_provider": "gitlab", "deploy_target": "render", "use_docker": False},
    {"ci_provider": "gitlab", "deploy_target": "render"},
    dict.fromkeys(["use_docker", *FULL], False),
]
# What a command prints when all goes well
PROGRESS = {
    "All … gates passed in … s.",
    "Creating a restore point, which can take a while.",
    "Deploying … to …, which runs no release that answers.",
    "Deploying … to …, which runs ….",
    "Finding breaking changes since ….",
    "Installing Python … and the pinned dependencies into …",
    "Made apps/…, and added it to INSTALLED_APPS in config/settings/base.py.",
    "Newer than the pinned versions:",
    "Newer: …. See them: make template-diff",
    "No restore point is needed: no migration has changed.",
    "No version is newer.",
    "Rolling back … from … to ….",
    "Running until Ctrl-C.",
    "Running …. VERBOSE=1 shows their output.",
    "The pinned versions are the newest that pyproject.toml allows.",
    "The project has the newest version of the template.",
    "The project has version … of ….",
    "The project is up to date: version … of the template.",
    "The update is merged and staged. Read it: git diff --cached",
    "Then run make ci and git commit.",
    "Then run make lock, make ci, git add --all and git commit.",
    "These ran at the same time: ….",
    "To undo it, even if it is interrupted:",
    "Updating from … to … on the branch ….",
    "Watching … for … s.",
    "git switch --detach … && git branch -D …",
    "git switch … && git branch -D …",
    "rm -f … && git reset --hard && git clean -d --force",
    "… is ready and runs release ….",
    "… runs …: … is ready.",
    "… was rolled back to …: … is ready.",
}
# Names of things in other messages, titles and values
PARTS = {
    "0.dev0",
    "Add its package to the dependencies in pyproject.toml, then run make lock.",
    "Fix the cause, then run make ci, git add --all and git commit.",
    "PostgreSQL",
    "Redis at … (…)",
    "Update the template to …",
    "Update the template to …: …",
    "Valkey or Redis",
    "docs/migrations.md explains how to fix or to accept each warning.",
    "failed",
    "ok",
    "the backup … of …",
    "… responses, … bad, p50 … s, p95 … s",
    "….post…",
    "…: warning: …",
    "…- and … more",
}


def answers_of(project):
    """Return all answers of a project."""
    return {"use_docker": True, **FULL, **project}


@pytest.fixture(scope="module")
def every_message(rendered):
    """Return each text that the projects print, with its file."""
    found = {}
    for answers in PROJECTS:
        found |= messages_of(rendered(**answers_of(answers)))
    return found


@pytest.fixture(scope="module")
def messages(every_message):
    """Return each text that a problem causes, with its file."""
    texts = every_message.keys() - PROGRESS - PARTS
    return {text: every_message[text] for text in sorted(texts)}


def entry_of(message):
    """Return the heading that is the message, or else its longest beginning, if any."""
    beginnings = [heading for heading in ENTRIES if PATTERNS[heading].match(message)]
    return max(beginnings, key=len, default=None)


def test_each_message_has_an_entry(messages):
    missing = {text: name for text, name in messages.items() if entry_of(text) is None}

    assert missing == {}


def test_each_entry_is_a_message(messages):
    assert ENTRIES.keys() - {entry_of(text) for text in messages} == set()


def test_projects_have_every_module_with_a_message(rendered):
    files = set().union(*(rendered(**answers_of(it)).files() for it in PROJECTS))
    modules = tracked("template/*.py", "template/*.py.jinja")

    assert len(modules) > 50
    names = {it.removeprefix("template/").removesuffix(".jinja") for it in modules}
    assert {it for it in names - files if not re.match("tests|e2e", it)} == set()


def test_texts_without_an_entry_exist(every_message):
    assert every_message.keys() >= PROGRESS | PARTS


def test_each_entry_has_a_text_of_its_own():
    for heading, text in ENTRIES.items():
        assert len(text.split()) > 4, heading
    assert len(re.findall("^### ", PAGE, re.MULTILINE)) == len(ENTRIES)


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("raise Refused('Set it.')", ["Set it."]),
        ("raise Refused(f'Set {name} to {value!r}.')", ["Set … to …."]),
        ("sys.exit('Set ' + name)", ["Set …"]),
        ("print('It failed.', file=sys.stderr)", ["It failed."]),
        ("print(name)", []),
        ("FORM = 'Use it so.'\ndef f():\n  raise ValueError(FORM)", ["Use it so."]),
        ("def f():\n  if x:\n    return 'it is not ready'", ["it is not ready"]),
        ("def f():\n  return 'GET'", []),
        (
            "WHY = {1: 'it failed', 2: 'it ended'}\nraise E(WHY[x])",
            ["it failed", "it ended"],
        ),
        ("raise E('yes' if x else f'no {x}')", ["yes", "no …"]),
        ("found.append(f'{name} needs {it}.')", ["… needs …."]),
        (
            "found = [Error(f'{it} is old.', 'Renew it.', id='a.E1') for it in names]",
            ["… is old.", "Renew it."],
        ),
        (
            "found.append(checks.Warning('It is old.', hint='Renew it.'))",
            ["It is old.", "Renew it."],
        ),
    ],
)
def test_messages_of_a_source_are_found(source, texts):
    assert Module(source).messages() == texts
