import fcntl
import functools
import hashlib
import json
import shutil
import subprocess

import pytest

from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.support.rendering import copy_with, renderer
from tests.support.verdicts import kept

pytest_plugins = ["tests.support.schedule"]
# What each worker reports about verdicts at its end
reports = []


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["verdicts"] = kept.summary()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    reports.append(getattr(node, "workeroutput", {}).get("verdicts", {}))


def pytest_terminal_summary(terminalreporter):
    counts = {
        name: sum(report.get(name, 0) for report in [*reports, kept.summary()])
        for name in kept.summary()
    }
    if any(counts.values()):
        line = "{earlier} verdicts from earlier runs, {judged} judged now"
        terminalreporter.write_line(line.format(**counts))


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Return a copy of the template as it stands here, without its git history."""
    folder = tmp_path_factory.mktemp("template")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TEMPLATE,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (TEMPLATE / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, folder / name)
    return folder


@pytest.fixture
def render(copie, template):
    """Return a function that renders a project for the test to change and run."""
    yield from renderer(copie, template)


@pytest.fixture(scope="module")
def render_for_module(copie_session, template):
    """Return a function that renders a project which the tests of one module share."""
    yield from renderer(copie_session, template)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id):
    """Return a folder of this test run that all test workers share."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="session")
def rendered(copie_session, template, shared_folder):
    """Return a function that renders each set of answers once, for reading only."""

    @functools.cache
    def rendered(**answers):
        name = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()
        place = shared_folder / f"rendered-{name}"
        with (shared_folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                copy_with(copie_session, template, answers).path.rename(place)
        return Project(place)

    return rendered
