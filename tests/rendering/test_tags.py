"""How much of template/ is Jinja, by the limits that docs/contribute.md states."""

import re

import jinja2
import pytest

from tests.pipelines.readers import READERS
from tests.support.options import TEMPLATE

PAGE = (TEMPLATE / "docs/contribute.md").read_text()
RULE = r"at most (\d+) block tags .* at most (\d+) outside .* at least (\d+) %"
MOST, MOST_OUTSIDE, LEAST_PLAIN = map(int, re.search(RULE, PAGE).groups())
PROVIDERS = tuple(
    name.partition("/")[0] for reader in READERS.values() for name in reader.FILES
)
FILES = [path for path in (TEMPLATE / "template").rglob("*") if path.is_file()]
NAMES = {
    str(path.relative_to(TEMPLATE / "template")): path
    for path in FILES
    if "__pycache__" not in path.parts
}


def block_tags(path):
    """Return the number of tags `{% … %}` that Jinja reads in a file of the template."""
    if path.suffix != ".jinja":
        return 0
    tokens = jinja2.Environment().lex(path.read_text())
    return sum(kind == "block_begin" for _, kind, _ in tokens)


def tags_per_100_lines(paths):
    """Return the number of block tags for each 100 lines of these files."""
    lines = sum(len(path.read_text().splitlines()) for path in paths)
    return 100 * sum(map(block_tags, paths)) / lines


def plain_share(names):
    """Return how many percent of the Python files among these names have no Jinja."""
    python = [name for name in names if name.endswith((".py", ".py.jinja"))]
    return 100 * sum(name.endswith(".py") for name in python) / len(python)


def test_template_has_few_block_tags():
    assert tags_per_100_lines(NAMES.values()) <= MOST


def test_files_outside_the_providers_have_fewer_block_tags():
    others = [path for name, path in NAMES.items() if not name.startswith(PROVIDERS)]

    assert tags_per_100_lines(others) <= MOST_OUTSIDE


def test_most_python_files_are_plain():
    assert plain_share(NAMES) >= LEAST_PLAIN


@pytest.mark.parametrize(
    ("name", "text", "tags"),
    [
        ("a.jinja", "{% if a %}\n{{ a }}\n{% endif %}\n{# {% a %} #}\n", 2),
        ("a.jinja", "{{ '{% a %}' }}\n", 0),
        ("a.yml", "{% if a %}\n", 0),
    ],
)
def test_only_tags_that_jinja_reads_are_counted(tmp_path, name, text, tags):
    (tmp_path / name).write_text(text)

    assert block_tags(tmp_path / name) == tags
