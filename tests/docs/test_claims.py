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
ROW = re.compile(r"^\| (?!---|Claim )(.+) \| (.+) \|$", re.MULTILINE)
ALL, FEW = (
    dict(ROW.findall((TEMPLATE / name).read_text()))
    for name in ("docs/claims.md", "README.md")
)


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATE))
)
def test_named_tests_exist(page):
    for path, name in TEST.findall(page.read_text()):
        assert not name or name in functions(path), f"{path}::{name}"
        assert any((root / path).is_file() for root in ROOTS), path


def test_each_claim_has_a_test():
    assert len(ALL) > 10
    for claim, evidence in ALL.items():
        assert TEST.search(evidence), claim


def test_readme_has_a_few_of_the_claims_with_the_file_of_their_test():
    assert 4 <= len(FEW) <= 5
    for claim, evidence in FEW.items():
        assert evidence == f"`{TEST.search(ALL[claim])[1]}`"


def test_claim_of_the_image_excepts_the_platform_that_builds_again():
    claim = r"^\| production runs the image .*staging.*Render without Docker.* \|"
    for page in ("docs/claims.md", "docs/comparison.md"):
        text = (TEMPLATE / page).read_text()
        assert re.search(claim, text, re.MULTILINE | re.IGNORECASE), page

    # Heroku releases a build, which has a test of its own.
    others = {name for name, platform in PLATFORMS.items() if not platform.runs_image}
    assert others == {"heroku", "render"}
