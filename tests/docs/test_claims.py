"""The tests that the pages name as evidence exist."""

import re

import pytest

from tests.deployment.platforms import PLATFORMS
from tests.docs.pages import functions
from tests.support.options import TEMPLATE

TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]
# Of the template, and of a project
ROOTS = (TEMPLATE, TEMPLATE / "template")
README = (TEMPLATE / "README.md").read_text()


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATE))
)
def test_named_tests_exist(page):
    for path, name in TEST.findall(page.read_text()):
        assert not name or name in functions(path), f"{path}::{name}"
        assert any((root / path).is_file() for root in ROOTS), path


def test_each_claim_of_the_readme_has_a_test():
    rows = re.findall(r"^\| (?!---|Claim )(.+) \| (.+) \|$", README, re.MULTILINE)

    assert len(rows) > 5
    for claim, evidence in rows:
        assert TEST.search(evidence), claim


def test_claim_of_the_image_excepts_the_platform_that_builds_again():
    claim = r"^\| production runs the image .*staging.*Render without Docker.* \|"
    for page in ("README.md", "docs/comparison.md"):
        text = (TEMPLATE / page).read_text()
        assert re.search(claim, text, re.MULTILINE | re.IGNORECASE), page

    # Heroku releases a build, which has a test of its own.
    others = {name for name, platform in PLATFORMS.items() if not platform.runs_image}
    assert others == {"heroku", "render"}
