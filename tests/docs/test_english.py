"""The repository is written in plain English, in the terms of its field.

docs/contribute.md has the rule. These patterns find the words that once made a dialect.
"""

import re

import pytest

from tests.support.options import TEMPLATE
from tests.support.tracked import tracked

# A pattern, and what to write instead. A space is any white space or underscore, so that a
# wrapped comment and an identifier are found as well.
BANNED = {
    r"mend(s|ed|ing)?": "fix",
    r"deliver(s|ed|ing|y|ies)?": "deploy, deployment; or generated project",
    r"(go|goes|going|gone|went) back|way back": "roll back, rollback, return",
    r"(?<!by )hand(s|ed|ing)? on": "pass, promote, record",
    r"unwell|(is|are|was|be) well(?=[.,:;)]|$)": "healthy, unhealthy",
    r"(?<!-)alone": "only",
    r"wants?|wanting": "needs, expects",
    r"beside": "next to",
    r"(some|any)body|who(so)?ever": "a person, the role",
    r"nobody(?= [a-z]|[.;] )": "no one, the role",  # not the user of that name
    r"for ever": "forever",
    r"told": "set, requested, reported",
    r"know(s|ing)? nothing of|ha(s|ve) a say|takes what|what runs": "name the thing",
}
# Names: two old files, an argument, a user, and a wrong key in a test
ALLOWED = r"docs/delivery\.md|deploy/deliver\.py|run.alone|(user|becomes).nobody|[\"']wants['\"]"
# This file has the words themselves.
THIS = "tests/docs/test_english.py"


def dialect(text):
    """Return each banned word of a text: its line, the word and what to write instead."""
    text = re.sub(ALLOWED, lambda found: "-" * len(found[0]), text)
    found = []
    for pattern, better in BANNED.items():
        whole = rf"(?<![^\W_])(?:{pattern})(?![^\W_])".replace(" ", r"[\s_#]+")
        # A look-behind has a fixed width, so it sees one white space only.
        whole = whole.replace(r"(?<!by[\s_#]+)", r"(?<!by[\s_])")
        for match in re.finditer(whole, text, re.IGNORECASE | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{line}: {match[0]!r}, better: {better}")
    return found


@pytest.mark.parametrize("name", sorted(set(tracked(f":!{THIS}"))))
def test_prose_has_no_word_of_the_dialect(name):
    text = (TEMPLATE / name).read_text(errors="replace")
    assert dialect(f"{name}\n{text}") == []


@pytest.mark.parametrize(
    "text",
    [
        "Mend style and format",
        "deploy/deliver_all.py",
        "a delivery to staging",
        "It went back to A.",
        "the way\n    # back",
        "def hand_on(release):",
        "production takes what is there",
        "staging is well: it answers",
        "config.settings.local alone.",
        "Docker wants a name.",
        "beside it",
        "Whoever merges",
        "Nobody can write.",
        "once somebody approves",
        "would try for ever",
        "what it was told",
        "what runs there",
    ],
)
def test_each_word_of_the_dialect_is_found(text):
    assert len(dialect(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "recommended, amended, as well as possible",
        "`deploy/deliver.py` is now `deploy/run.py`.",
        "a stand-alone backend, standalone",
        "its tools run by hand on running servers",
        "wanted, besides, unmended",
        "scripts.services run-alone, as the user nobody",
        'pwd.getpwnam("nobody")',
    ],
)
def test_plain_english_is_not_found(text):
    assert dialect(text) == []
