"""A run records the files that it has tested only if it ran everything on a commit."""

from types import SimpleNamespace

import pytest

from tests.support import suite
from tests.support.project import Project

PIPELINE = {"CI": "true"}
ARGUMENTS = ["--numprocesses", "auto", "--dist", "loadgroup"]


@pytest.fixture
def repository(monkeypatch, tmp_path):
    """Return a repository with a commit, in which a run is the pipeline's."""
    monkeypatch.setattr(suite, "is_whole", lambda *_: True)
    repository = Project(tmp_path)
    (repository / ".gitignore").write_text(".cache/\n")
    repository.commit()
    return repository


def run(repository, during=lambda: None, exitstatus=0, **others):
    """Let the plugin see a run; return the files that are recorded as tested."""
    invocation = SimpleNamespace(args=ARGUMENTS)
    facts = {"rootpath": repository.path, "invocation_params": invocation} | others
    session = SimpleNamespace(config=SimpleNamespace(**facts), exitstatus=exitstatus)
    suite.pytest_sessionstart(session)
    during()
    suite.pytest_sessionfinish(session)
    return suite.passed_tree(repository.path)


def test_plugin_is_active(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("tests.support.suite")


def test_passed_run_is_recorded(repository):
    tree = repository.run("git", "rev-parse", "HEAD^{tree}").stdout.strip()
    assert run(repository) == tree == suite.committed_tree(repository.path)


def test_failed_run_is_not_recorded(repository):
    assert run(repository, exitstatus=1) is None


def test_worker_of_a_run_records_nothing(repository):
    assert run(repository, workerinput={}) is None


def test_run_with_a_changed_file_is_not_recorded(repository):
    (repository / "new").touch()
    assert run(repository) is None


def test_run_during_which_a_commit_came_is_not_recorded(repository):
    def commit():
        (repository / "new").touch()
        repository.commit("New")

    assert run(repository, commit) is None


def test_run_outside_a_repository_is_not_recorded(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "is_whole", lambda *_: True)
    assert run(Project(tmp_path)) is None


def test_whole_run_is_that_of_make_test_in_the_pipeline():
    assert suite.is_whole(ARGUMENTS, PIPELINE, True)


@pytest.mark.parametrize(
    ("arguments", "variables", "fresh"),
    [
        ([*ARGUMENTS, "-k", "rendering"], PIPELINE, True),
        ([*ARGUMENTS, "--collect-only"], PIPELINE, True),
        ([], PIPELINE, True),
        (ARGUMENTS, {}, True),
        (ARGUMENTS, PIPELINE, False),
        (ARGUMENTS, PIPELINE | {"SHARD": "1/4"}, True),
        (ARGUMENTS, PIPELINE | {"PYTEST_ADDOPTS": "-k rendering"}, True),
    ],
)
def test_run_that_may_omit_a_check_is_not_whole(arguments, variables, fresh):
    assert not suite.is_whole(arguments, variables, fresh)
