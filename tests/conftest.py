import shutil
import signal

import pytest

from tests.support.options import (
    ENFORCING,
    EVERY_COMBINATION,
    OTHER_REGISTRY,
    TEMPLATE,
)
from tests.support.rendering import Rendered, renderer, renders
from tests.support.tracked import tracked
from tests.support.verdicts import kept

pytest_plugins = [
    "tests.support.memory",
    "tests.support.passes",
    "tests.support.schedule",
    "tests.support.suite",
    "tests.support.commands",
]
# These run in a generated project: see test_machinery.py.
collect_ignore = ["running/machinery"]
# What each worker reports about verdicts at its end
reports = []


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["verdicts"] = kept.summary()
    else:
        renders.prune()


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


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Let commands be interrupted: a script's background job, or nohup, ignores signals.

    A command inherits an ignored signal, but not a handler.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Return a copy of the template as it is here, without its git history."""
    folder = tmp_path_factory.mktemp("template")
    for name in tracked():
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
def rendered(shared_folder):
    """Return a function that renders each set of answers once, for reading only."""
    projects = {}

    def rendered(**answers):
        key = renders.key(answers)
        if key not in projects:
            place = shared_folder / f"rendered-{key}"
            projects[key] = Rendered(renders, answers, place)
        return projects[key]

    yield rendered
    changes = {str(it.path): it.changes() for it in projects.values() if it.changes()}
    assert not changes, f"a test has changed projects that are for reading: {changes}"


@pytest.fixture(scope="session")
def every_project(rendered):
    """Return the project of each combination of answers, by name, for reading only."""
    renders.render(EVERY_COMBINATION.values())
    return {name: rendered(**answers) for name, answers in EVERY_COMBINATION.items()}


@pytest.fixture(scope="session")
def every_pipeline(every_project, rendered):
    """Return the project of each combination, also with the answers for the pipeline only."""
    others = ENFORCING | OTHER_REGISTRY
    renders.render(others.values())
    return every_project | {name: rendered(**it) for name, it in others.items()}


@pytest.fixture(scope="module")
def bare_template(tmp_path_factory):
    """Return the template without its files, which renders faster."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy2(TEMPLATE / "copier.yml", folder)
    shutil.copytree(TEMPLATE / "extensions", folder / "extensions")
    (folder / "template").mkdir()
    return folder
