"""What the tests do with the start page in a browser."""

from urllib.parse import urlencode

from start_page.questions import CHOICES
from tests.support.node import node_modules
from tests.support.rendering import digest

LIMIT = 2_000_000  # bytes of the page and its data
AXE = "axe-core@4.14.1"
AXE_HASH = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
WIDE = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}


def fragment(answers, **others):
    """Return the fragment of an address with these answers."""
    words = {name: str(it).lower() for name, it in answers.items()}
    return f"#{urlencode(words | others)}"


def choose(page, name, value):
    """Click a choice as a person does."""
    at = [it.value for it in CHOICES[name]].index(value)
    page.locator(f"#question-{name} label").nth(at).click()


def axe():
    """Return the source of axe, if it is the known one."""
    source = (node_modules(AXE) / "axe-core/axe.min.js").read_bytes()
    assert digest(source) == AXE_HASH
    return source.decode()
