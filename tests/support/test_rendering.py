"""Projects for reading are what Copier makes, and each is rendered once."""

import os
import subprocess
import sys
from pathlib import Path

import copier
import pytest

from tests.support import rendering, tracked
from tests.support.options import FULL, TEMPLATE
from tests.support.project import Project, clean_environment
from tests.support.rendering import Rendered, Renders, files_of

EVERYTHING = FULL | {"use_docker": True, "deploy_target": "kubernetes"}
SEVERAL_WORKERS = """
import sys
from pathlib import Path
import copier
from tests.support.rendering import Renders

run_copy = copier.run_copy

def count(*arguments, **options):
    with Path(sys.argv[1], "rendered").open("a") as file:
        file.write(arguments[2]["project_name"])
    run_copy(*arguments, **options)

copier.run_copy = count
several = [{"project_name": name} for name in "abcd"]
renders = Renders(Path(sys.argv[1]), run="one")
renders.render(several)
assert all("README.md" in renders.tree(answers) for answers in several)
"""


@pytest.fixture
def begin(tmp_path):
    """Return a function that begins a test run with the projects of the runs before."""

    def begin(run, fresh=False):
        return Renders(tmp_path, run=run, fresh=fresh)

    return begin


@pytest.fixture
def copies(monkeypatch):
    """Return a list that gets the answers of each project which Copier renders."""
    copies, run_copy = [], copier.run_copy

    def count(source, folder, answers, **options):
        copies.append(answers)
        return run_copy(source, folder, answers, **options)

    monkeypatch.setattr(copier, "run_copy", count)
    return copies


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_project_is_what_plain_copier_makes(begin, tmp_path, answers):
    renders = begin("one")
    data = [word for pair in answers.items() for word in ("-d", "{}={}".format(*pair))]
    plain = tmp_path / "plain"
    subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", *data]
        + [renders.template, plain],
        check=True,
        env=clean_environment(COPIER_SETTINGS_PATH="/dev/null"),
    )
    Rendered(renders, answers, None).copy_to(tmp_path / "quick")

    def state(folder):
        return {
            name: (path.read_bytes(), path.stat().st_mode)
            for name, path in files_of(folder).items()
        }

    assert state(tmp_path / "quick") == state(plain)
    assert "README.md" in state(plain)


def test_stated_default_is_no_other_project(begin, copies):
    renders = begin("one")
    plain = renders.tree({})
    assert renders.tree({"ci_provider": "github", "use_redis": False}) is plain
    assert renders.tree({"ci_provider": "gitlab"}) != plain
    assert len(copies) == 2


def test_project_is_rendered_once_in_all_runs(begin, copies):
    for run in ("one", "one", "two"):
        begin(run).tree({})
    assert len(copies) == 1


def test_copier_settings_of_the_user_change_no_project(begin, monkeypatch, tmp_path):
    plain = begin("one").tree({})
    (tmp_path / "settings.yml").write_text("defaults: {author_name: Another}\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(tmp_path / "settings.yml"))
    assert begin("two", fresh=True).tree({}) == plain


def test_fresh_run_renders_again(begin, copies):
    begin("one").tree({})
    for _ in range(2):
        begin("two", fresh=True).tree({})
    assert len(copies) == 2


@pytest.fixture
def change(monkeypatch, tmp_path):
    """Return a function that changes a file of the template for this test."""

    def change(source="copier.yml"):
        changed = tmp_path / "changed"
        changed.write_text((TEMPLATE / source).read_text() + "# more\n")
        others = rendering.sources() | {source: changed}
        monkeypatch.setattr(rendering, "sources", lambda: others)

    return change


@pytest.mark.parametrize("source", ["copier.yml", "template/README.md.jinja"])
def test_changed_template_renders_again(begin, copies, change, source):
    begin("one").tree({})
    change(source)
    begin("two").tree({})
    assert len(copies) == 2


def test_simultaneous_run_keeps_its_template(begin, change):
    first = begin("one").template
    change()
    assert begin("two").template != first
    begin("two").prune()
    assert (first / "copier.yml").exists()


def test_unused_template_is_removed_after_a_day(begin, change):
    first = begin("one").template
    os.utime(first, times=(0, 0))
    change()
    begin("two").prune()
    assert not first.exists()


def test_change_during_the_copy_of_the_template_is_an_error(begin, change):
    renders = begin("one")
    assert renders.state
    change()
    with pytest.raises(AssertionError, match="changed during this run: run it again"):
        renders.tree({})


def test_sources_are_all_that_copier_reads_of_a_clone(monkeypatch, tmp_path):
    assert {"copier.yml", "extensions/pins.jinja"} <= rendering.sources().keys()

    monkeypatch.setattr(rendering, "TEMPLATE", tmp_path)
    monkeypatch.setattr(tracked, "TEMPLATE", tmp_path)
    ours = {"copier.yml", "extensions/a.jinja", "template/docs/b.md"}
    for name in (*ours, "README.md", "template/docs/.cache/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text(".cache/\n")
    Project(tmp_path).run_ok("git", "init")
    assert rendering.sources.__wrapped__().keys() == ours


def test_unused_project_is_removed_after_a_week(begin, copies, monkeypatch):
    first = rendering.today()
    renders = begin("one")
    content = renders.tree({"project_name": "Shop"})["README.md"][0]
    renders.tree({})
    for days in (7, 14):
        monkeypatch.setattr(rendering, "today", lambda days=days: days + first)
        begin("two").tree({})
        begin("two").prune()
    begin("three").render([{}, {"project_name": "Shop"}])
    assert copies == [{"project_name": "Shop"}, {}, {"project_name": "Shop"}]
    assert begin("three").content(content)


def test_workers_share_the_rendering(tmp_path):
    command = [sys.executable, "-c", SEVERAL_WORKERS, tmp_path]
    workers = [subprocess.Popen(command, cwd=TEMPLATE) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert sorted((tmp_path / "rendered").read_text()) == ["a", "b", "c", "d"]


def test_answer_to_no_question_is_an_error(begin):
    with pytest.raises(AssertionError, match="not questions of copier.yml: .'wrong'"):
        begin("one").tree({"wrong": 1})


def test_shared_render_cannot_be_written(begin, tmp_path):
    project = Rendered(begin("one"), {}, tmp_path / "project")
    modes = {path.stat().st_mode & 0o222 for path in project.path.rglob("*")}
    assert modes == {0}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda folder: (folder / "new").write_text(""), "new"),
        (lambda folder: (folder / "README.md").write_text(""), "README.md"),
        (lambda folder: (folder / "README.md").unlink(), "README.md"),
    ],
    ids=["new", "changed", "removed"],
)
def test_each_change_of_a_shared_render_is_seen(begin, tmp_path, change, name):
    project = Rendered(begin("one"), {}, tmp_path / "project")
    assert project.changes() == set()
    for path in (project.path, project / "README.md"):
        path.chmod(0o755)
    change(project.path)
    assert project.changes() == {name}


def test_copy_of_a_project_can_be_changed(begin, tmp_path):
    project = Rendered(begin("one"), {}, tmp_path / "project")
    copy = project.copy_to(Path(tmp_path, "copy"))
    copy.edit("README.md", "# My Project", "# Shop")
    assert copy.files() == project.files()
    assert project.read("README.md").startswith("# My Project")
