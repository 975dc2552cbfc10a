"""Each target has what the sequence of a deployment, and its tests, need."""

import ast
import os
import re

import pytest

from tests.deployment.platforms import PLATFORMS
from tests.deployment.platforms.base import STAND_INS
from tests.support.options import REDIS_STATES, TEMPLATE, choices

TARGETS = [name for name in choices("deploy_target") if name != "none"]
DEPLOY = TEMPLATE / "template/deploy"
# The interface of a target's module, as the module that each of them imports describes it.
ROW = re.compile(r"^(\w+(?:\(.*?\))?(?:, \w+)?)  +(optional)?", re.MULTILINE)
INTERFACE = {
    name: bool(optional)
    for names, optional in ROW.findall((DEPLOY / "commands.py").read_text())
    for name in re.findall(r"\w+", names.partition("(")[0])
}


def defined(name):
    """Return the names that a module of deploy/ defines or imports at its top level."""
    tree = ast.parse((DEPLOY / f"{name}.py").read_text())
    found = {it.name for it in tree.body if isinstance(it, ast.FunctionDef)}
    for it in tree.body:
        if isinstance(it, ast.Assign):
            found |= {target.id for target in it.targets if hasattr(target, "id")}
        if isinstance(it, ast.ImportFrom):
            found |= {name.asname or name.name for name in it.names}
    return found


def test_each_platform_has_a_stand_in():
    for name, platform in PLATFORMS.items():
        assert os.access(STAND_INS / platform.tool, os.X_OK), name


def test_sequence_uses_the_described_interface():
    text = "".join((DEPLOY / name).read_text() for name in ("run.py", "restore.py"))
    used = set(re.findall(r"\btarget\.(\w+)", text))
    probed = set(re.findall(r'attr\(target, "(\w+)"', text))

    assert used | probed == INTERFACE.keys()
    assert probed == {name for name, optional in INTERFACE.items() if optional}


@pytest.mark.parametrize("name", TARGETS)
def test_no_celery_process_prints_a_banner_among_its_json(rendered, name):
    project = rendered(
        **REDIS_STATES["redis-celery"], use_docker=True, deploy_target=name
    )
    files = [project / "Procfile", *(project / "deploy").rglob("*")]
    files += [project / "render.yaml"]
    lines = [
        re.sub(r"[\[\],]", "", line)
        for path in files
        if path.is_file()
        for line in path.read_text().splitlines()
    ]
    commands = [
        line.partition("celery ")[2]
        for line in lines
        if "--app config" in line and not line.strip().startswith("#")
    ]

    assert len(commands) >= 2
    assert [it for it in commands if not it.startswith("--quiet ")] == []


@pytest.mark.parametrize("name", TARGETS)
def test_module_of_a_target_has_the_interface(name):
    needed = {part for part, optional in INTERFACE.items() if not optional}

    assert needed <= defined(name)


def test_decision_names_the_interface():
    text = (TEMPLATE / "docs/decisions/0010-one-deployment-sequence.md").read_text()
    (paragraph,) = re.findall(r"^A target is a module .*$", text, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", paragraph)) == INTERFACE.keys()
