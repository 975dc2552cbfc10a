"""The data of the start page has the files that Copier renders, for any answers."""

import functools
import random

import pytest

from start_page.contents import set_names
from start_page.data import ADDRESS, contents
from start_page.questions import ORDER, combinations, defaults, parse
from tests.support.options import (
    ENFORCING,
    EVERY_COMBINATION,
    OTHER_REGISTRY,
    TEMPLATE,
)
from tests.support.rendering import digest, renders

# Sets of answers to all questions that the other tests do not render
OTHERS = random.Random(13).sample(combinations(frozenset(ORDER)), 12)
RECORD = ".copier-answers.yml"
SOURCE = f"_src_path: {renders.template}\n"


@functools.cache
def digest_of(pieces):
    """Return the hash of the text that some pieces make."""
    texts = [contents().decisions.results[it] for it in pieces]
    text = "".join(SOURCE if it is ADDRESS else it for it in texts)
    return digest(text.encode())


def data_of(answers):
    """Return the hash and the mode of each file of a project, as the page's data has it."""
    found = {}
    for path, (exists, is_executable, parts) in contents().files.items():
        if contents().decisions.follow(exists, answers):
            pieces = tuple(contents().decisions.find(it, answers) for it in parts)
            found[path] = [digest_of(pieces), 0o755 if is_executable else 0o644]
    return found


def differences(projects):
    """Return the files in which the data differs from rendered projects, by answers."""
    found = {}
    for answers, tree in projects:
        data = data_of(defaults() | answers)
        names = {it for it in data.keys() | tree.keys() if data.get(it) != tree.get(it)}
        if names:
            found[str(answers)] = sorted(names)
    return found


def test_data_equals_every_rendered_combination(every_pipeline):
    answers = EVERY_COMBINATION | ENFORCING | OTHER_REGISTRY
    projects = [(answers[name], it.tree) for name, it in every_pipeline.items()]

    assert not differences(projects)
    assert len(projects) > len(EVERY_COMBINATION)


def test_data_equals_projects_with_unusual_answers():
    renders.render(OTHERS)

    assert not differences((answers, renders.tree(answers)) for answers in OTHERS)


def test_manual_states_the_number_of_sets_of_answers():
    page = (TEMPLATE / "docs/start-page.md").read_text()

    assert f"allow {len(combinations(frozenset(ORDER))):,} sets of answers" in page


def test_data_varies_with_every_question_that_has_choices():
    decisions = contents().decisions
    parts = [it for file in contents().files.values() for it in (file[0], *file[2])]
    used = frozenset().union(*map(decisions.support, parts))

    assert {ORDER[it] for it in used} == {*ORDER}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{% set x = use_redis %}", {"use_redis"}),
        ("{% set x %}{{ use_redis }}{% endset %}", {"use_redis"}),
        ("{% if use_redis %}{% set x = 1 %}{% endif %}", {"use_redis"}),
        ("{% if a %}{% elif b %}{% else %}{% set x = c %}{% endif %}", {*"abc"}),
        ("{% with x = a %}{% endwith %}", {"a"}),
        ("{% macro x() %}{{ a }}{% endmacro %}", {"a"}),
        ("{% for x in a %}{% endfor %}", {"a"}),
    ],
)
def test_name_depends_on_its_value_and_what_is_around_it(source, names):
    found = [it for name, it in set_names(parse(source)) if name == "x"]

    assert found == [names]
