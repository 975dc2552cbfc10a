"""A kept verdict counts for the same input, tools and code, and for nothing else."""

import subprocess
import sys

import pytest

from tests.support import verdicts
from tests.support.options import TEMPLATE
from tests.support.verdicts import Verdicts, code_of, tools_of

SEVERAL_WORKERS = """
import sys, time
from pathlib import Path
from tests.support.verdicts import Verdicts

def judge():
    time.sleep(0.5)
    with Path(sys.argv[1], "judged").open("a") as file:
        file.write("once ")

Verdicts(Path(sys.argv[1]), run="one").once("kind", "content", judge)
"""

FIRST_DAY = verdicts.today()


class Judge:
    """Counts how often it judges, and finds what it is given."""

    def __init__(self, *findings):
        self.findings, self.times = list(findings), 0

    def __call__(self):
        self.times += 1
        return self.findings


@pytest.fixture
def begin(tmp_path):
    """Return a function that begins a test run with the verdicts of the runs before."""

    def begin(run, fresh=False):
        return Verdicts(tmp_path, run=run, fresh=fresh)

    return begin


def test_equal_input_is_judged_once(begin):
    judge = Judge()
    for run in ("one", "one", "two"):
        assert begin(run).once("kind", {"a": 1, "b": 2}, judge) == []
        assert begin(run).once("kind", {"b": 2, "a": 1}, judge) == []
    assert judge.times == 1


@pytest.mark.parametrize(
    ("kind", "parts"), [("other", ["content"]), ("kind", ["other"]), ("kind", [])]
)
def test_different_input_is_judged_separately(begin, kind, parts):
    judge = Judge()
    begin("one").once("kind", ["content"], Judge())
    begin("one").once(kind, parts, judge)
    assert judge.times == 1


def test_failure_is_judged_again(begin):
    judge = Judge("a defect")
    for _ in range(2):
        assert begin("one").once("kind", "content", judge) == ["a defect"]
    assert judge.times == 2


def test_exception_passes_through_and_keeps_nothing(begin):
    def judge():
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            begin("one").once("kind", "content", judge)


def test_fresh_run_judges_once_what_an_earlier_run_passed(begin):
    judge = Judge()
    begin("one").once("kind", "content", Judge())
    for _ in range(2):
        begin("two", fresh=True).once("kind", "content", judge)
    assert judge.times == 1


def test_failure_of_a_fresh_run_removes_the_earlier_pass(begin):
    begin("one").once("kind", "content", Judge())
    begin("two", fresh=True).once("kind", "content", Judge("a defect"))
    assert begin("three").once("kind", "content", Judge("a defect")) == ["a defect"]


def test_only_items_without_a_verdict_are_judged_together(begin):
    begin("one").once("kind", "good", Judge())
    judged = []

    def judge(names):
        judged.append(names)
        return {name: ["a defect"] * name.startswith("bad") for name in names}

    items = {"a": "good", "b": "new", "bad": "bad", "twin of b": "new"}
    for _ in range(2):
        found = begin("two").each("kind", items, judge)
        assert found == {"a": [], "b": [], "bad": ["a defect"], "twin of b": []}
    assert sorted(map(len, judged)) == [1, 2]
    assert judged[1] == ["bad"]


def test_judge_must_return_a_verdict_for_each_item(begin):
    with pytest.raises(AssertionError, match="an item has no verdict"):
        begin("one").each("kind", {"a": 1, "b": 2}, lambda names: {"a": []})


def test_workers_judge_equal_input_once(tmp_path):
    command = [sys.executable, "-c", SEVERAL_WORKERS, tmp_path]
    workers = [subprocess.Popen(command, cwd=TEMPLATE) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert (tmp_path / "judged").read_text() == "once "


def test_run_counts_kept_and_new_verdicts(begin):
    begin("one").once("kind", "old", Judge())
    run = begin("two")
    for content in ("old", "new", "new", "bad"):
        run.once("kind", content, Judge(*["a defect"] * (content == "bad")))
    assert run.summary() == {"earlier": 1, "judged": 2}


def test_unused_verdict_is_removed_after_a_month(begin, monkeypatch):
    judge = Judge()
    begin("one").once("kind", "content", judge)
    for days, times in ((30, 1), (60, 1), (91, 2)):
        monkeypatch.setattr(verdicts, "today", lambda days=days: days + FIRST_DAY)
        begin("two").once("kind", f"another at {days}", Judge())
        begin("two").once("kind", "content", judge)
        assert judge.times == times


def test_code_includes_the_modules_that_a_module_imports(monkeypatch):
    before = code_of(verdicts)
    originals = verdicts.source
    for changed in ("tests.support.verdicts", "tests.support.options"):
        code_of.cache_clear()
        monkeypatch.setattr(
            verdicts,
            "source",
            lambda name, changed=changed: originals(name) + "#" * (name == changed),
        )
        assert code_of(verdicts) != before
    monkeypatch.undo()
    code_of.cache_clear()
    assert code_of(verdicts) == before == code_of(Verdicts)


def test_code_includes_a_file(tmp_path):
    script = tmp_path / "script.mjs"
    script.write_text("one")
    before = code_of(script)
    code_of.cache_clear()
    script.write_text("two")
    assert code_of(script) != before


def test_tools_are_known_by_their_version():
    versions = tools_of("ruff", "make")
    assert versions["python"] == sys.version
    assert versions["ruff"][0].isdigit()
    assert "GNU Make" in versions["make"]
