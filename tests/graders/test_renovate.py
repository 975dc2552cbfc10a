"""Renovate's configuration is valid, and covers the lock files and nothing else."""

import json
import re

import pytest

from tests.graders.contents import finds_defect, grade_text
from tests.graders.renovate import renovate_schema
from tests.support.options import FULL

FILE = "renovate.json"


TEMPLATE = {"template_updates": "renovate"}


@pytest.fixture(params=[{}, FULL, TEMPLATE], ids=["none", "full", "template"])
def text(request, rendered):
    return rendered(**request.param).read(FILE)


def test_schema_finds_nothing(text, tmp_path):
    assert grade_text(renovate_schema, text, tmp_path / FILE) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["pip-compile"', "[1"),
        ('"7 days"', "7"),
        ('"enabled": false', '"enabled": "no"'),
    ],
)
def test_schema_finds_a_defect(text, tmp_path, old, new):
    assert text.count(old) == 1
    assert finds_defect(renovate_schema, text.replace(old, new), tmp_path / FILE)


def test_renovate_changes_only_the_lock_files_and_their_source(rendered, text):
    settings = json.loads(text)
    manager, *others = settings["enabledManagers"]
    assert others in ([], ["copier"])
    (pattern,) = settings[manager]["managerFilePatterns"]

    files = rendered().files()

    found = {name for name in files if re.search(pattern.strip("/"), name)}
    assert found == {"requirements.txt", "requirements-dev.txt"}


def test_renovate_waits_as_long_as_make_lock(rendered, text):
    (days,) = re.findall(r"^MIN_AGE := P(\d+)D$", rendered().read("Makefile"), re.M)

    assert json.loads(text)["minimumReleaseAge"] == f"{days} days"


def test_template_waits_for_no_date_and_has_its_own_request(rendered):
    """Renovate knows the age of no git tag, and holds an update without one back forever."""
    settings = json.loads(rendered(**TEMPLATE).read(FILE))
    assert "copier" in settings["enabledManagers"]
    (rule,) = [it for it in settings["packageRules"] if "matchManagers" in it]
    rule.pop("description")
    wanted = {"groupName": None, "minimumReleaseAge": None}
    assert rule == {"matchManagers": ["copier"]} | wanted
