"""A test with the mark `kept` runs again only when something changes that it depends on."""

import itertools
import sys
from types import SimpleNamespace

import pytest

from tests.support import passes
from tests.support.verdicts import Verdicts, code_of


class Item(SimpleNamespace):
    """A test as the plugin sees it, which counts how often it runs."""

    def __init__(self, path, text="", **others):
        path.write_text(text)
        super().__init__(
            path=path,
            module=sys.modules[__name__],
            nodeid="test_it",
            fixturenames=["number"],
            funcargs={"number": 1, "other": 2},
            _fixtureinfo=SimpleNamespace(argnames=["number"]),
            mark=pytest.mark.kept.mark,
            fails=False,
            times=0,
        )
        vars(self).update(others)

    def get_closest_marker(self, name):
        return self.mark if name == "kept" else None

    def obj(self, number):
        assert number == 1
        self.times += 1
        assert not self.fails


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs a test in a new run; it returns how often the test ran."""

    runs = itertools.count()

    def run(fresh=False, **parts):
        code_of.cache_clear()
        verdicts = Verdicts(tmp_path, run=str(next(runs)), fresh=fresh)
        monkeypatch.setattr(passes, "kept", verdicts)
        item = Item(tmp_path / "test_it.py", **parts)
        assert passes.pytest_pyfunc_call(item) is True
        return item.times

    return run


def test_plugin_is_active(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("tests.support.passes")


def test_test_without_the_mark_is_left_to_pytest(tmp_path):
    item = Item(tmp_path / "test_it.py", mark=None)
    assert passes.pytest_pyfunc_call(item) is None


def test_passed_test_does_not_run_again(run):
    assert [run(), run()] == [1, 0]


def test_failed_test_runs_again(run):
    for _ in range(2):
        with pytest.raises(AssertionError):
            run(fails=True)
    assert run() == 1


@pytest.mark.parametrize("change", [{"nodeid": "other"}, {"text": "# changed"}])
def test_changed_test_runs_again(run, change):
    assert [run(), run(**change)] == [1, 1]


def test_changed_file_of_the_mark_runs_the_test_again(run, tmp_path):
    file = tmp_path / "file"
    mark = pytest.mark.kept(file).mark
    file.write_text("one")
    assert [run(mark=mark), run(mark=mark)] == [1, 0]
    file.write_text("two")
    assert run(mark=mark) == 1


def test_new_package_runs_the_test_again(run, monkeypatch):
    run()
    monkeypatch.setattr(passes, "PACKAGES", [["new", "1.0"]])
    assert run() == 1


def test_fresh_run_runs_the_test_again(run):
    assert [run(), run(fresh=True)] == [1, 1]


@pytest.mark.parametrize("name", sorted(passes.OF_THE_TEMPLATE))
def test_kept_test_cannot_depend_on_the_template(run, name):
    with pytest.raises(AssertionError, match="depends on the template"):
        run(fixturenames=[name])
