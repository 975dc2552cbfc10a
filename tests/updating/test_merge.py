"""An update merges the template's changes and those of a project, and loses neither."""

import re
import shutil

import pytest

from tests.support.project import Project
from tests.updating.small import (
    copy,
    make_template,
    release,
    report,
    run,
    state,
    text,
    undo,
)

BOTH = "you and the template have changed it"
GONE = "you have changed it, and the template has removed or renamed it"


def edit(project, name, line="8"):
    """Commit an edit. The template's own are in line 1."""
    project.edit(name, f"{name} {line}\n", f"{line} mine\n")
    project.commit(f"Edit {name}")


def merged_text(name):
    return text(name, "1 new").replace(f"{name} 8", "8 mine")


def branch(project):
    return project.run("git", "branch", "--show-current").stdout.strip()


def test_update_merges_changes_of_both_sides(small):
    edit(small, "changed")
    merged = report(small, "update")
    assert (merged["version"], merged["wanted"]) == ("v1.0.0", "v1.1.0")
    assert (merged["conflicts"], merged["gates"]) == ({}, True)
    assert small.read("changed") == merged_text("changed")
    assert small.read("added") == text("added")
    assert not small.has("removed")
    assert "_commit: v1.1.0" in small.read(".copier-answers.yml")


def test_update_is_staged_on_a_branch_of_its_own(small):
    before = small.head()
    run(small, "update")
    assert branch(small) == "template-update"
    assert small.head() == before
    assert small.run("git", "diff", "--name-only").stdout == ""
    assert "added" in small.run("git", "diff", "--cached", "--name-only").stdout


def test_second_update_changes_nothing(small):
    run(small, "update")
    small.commit("Update the template")
    small.run_ok("git", "switch", "--create", "merged")
    small.run_ok("git", "branch", "-D", "template-update")
    before = state(small)
    assert report(small, "update")["files"] == []
    assert state(small) == before


def test_edit_follows_a_file_that_the_template_renames(small):
    edit(small, "folder/old name")
    assert report(small, "update")["conflicts"] == {}
    assert small.read("folder/new name") == merged_text("folder/old name")
    assert not small.has("folder/old name")


def test_edited_file_that_the_template_removes_is_a_conflict(small):
    edit(small, "removed")
    assert report(small, "update", code=1)["conflicts"] == {"removed": GONE}
    assert small.read("removed") == text("removed", "8 mine")


def test_edited_file_of_a_dropped_answer_is_a_conflict(small):
    edit(small, "extra")
    merged = report(small, "update", "-d", "extra=false", code=1)
    assert merged["conflicts"] == {"extra": GONE}
    assert small.read("extra") == text("extra", "8 mine")


def test_same_lines_are_a_conflict_with_markers(small):
    edit(small, "changed", "1")
    done = run(small, "update")
    assert done.returncode == 1
    assert f"  changed: {BOTH}\n" in done.stdout
    assert "<<<<<<< HEAD\n1 mine\n=======\n1 new\n>>>>>>> " in small.read("changed")


def test_file_that_both_sides_add_is_a_conflict(small):
    (small / "added").write_text("mine\n")
    small.commit("Add")
    added = "you and the template have added it"
    assert report(small, "update", code=1)["conflicts"] == {"added": added}
    assert "mine\n" in small.read("added")


def test_folder_in_the_place_of_a_new_file_is_a_conflict(small):
    (small / "added").mkdir()
    (small / "added/mine").write_text("mine\n")
    small.commit("Add")
    (name,) = report(small, "update", code=1)["conflicts"]
    assert name.startswith("added~")
    assert (small.read(name), small.read("added/mine")) == (text("added"), "mine\n")


def test_file_that_both_sides_rename_is_a_conflict(small):
    small.run_ok("git", "mv", "folder/old name", "mine")
    small.commit("Rename")
    merged = report(small, "update", code=1)
    assert merged["conflicts"] == {"folder/new name": BOTH, "mine": BOTH}
    assert small.has("folder/new name")


def test_gates_do_not_run_on_a_conflict(small):
    edit(small, "changed", "1")
    assert report(small, "update", code=1)["gates"] is None
    assert not small.has("locked")


@pytest.mark.parametrize(
    "name", ["changed", "folder/old name", "removed", "requirements.txt"]
)
def test_file_that_the_user_has_deleted_stays_deleted(small, name):
    (small / name).unlink()
    small.commit("Delete")
    merged = report(small, "update")
    assert merged["conflicts"] == {}
    assert not small.has(name)
    assert not small.has(name.replace("old", "new"))


def test_own_file_next_to_those_of_the_template_stays(small):
    (small / "folder/mine").write_text("mine")
    small.commit("Add")
    report(small, "update")
    assert small.read("folder/mine") == "mine"


def test_answers_file_always_names_what_was_merged(small):
    small.edit(".copier-answers.yml", "_commit: v1.0.0", "_commit: v1.0.0  # Old")
    small.commit("Edit")
    merged = report(small, "update", "-d", "project_slug=store")
    assert merged["conflicts"] == {}
    assert "_commit: v1.1.0" in small.read(".copier-answers.yml")
    assert "project_slug: store" in small.read(".copier-answers.yml")


def test_update_names_new_questions_and_their_answers(small):
    done = run(small, "update")
    assert "New answers:\n  color=blue\n" in done.stdout


def test_update_names_the_answers_that_it_changes(small):
    done = run(small, "update", "--merge-only", "-d", "project_slug=store")
    assert "Changed answers:\n  project_slug=store\nNew answers:\n" in done.stdout


def test_update_says_that_a_slug_also_names_things_outside(small):
    section = '"Another slug" in docs/update.md'
    other = small.copy_to(small.path.with_name("other"))
    assert section not in run(other, "update", "-d", "extra=false").stdout
    assert section in run(small, "update", "-d", "project_slug=store").stdout


def test_update_names_the_answers_that_it_drops(small):
    done = run(small, "update", "--merge-only", "-d", "extra=false")
    assert (
        "longer asks for these answers, so they are dropped:\n  size=small\n"
        in done.stdout
    )


def test_newer_pins_of_the_template_are_compiled(small):
    mine = "beta==2.0\nmine==3.0 \\\n    --hash=x\nfoo @ https://localhost/\nbar==1,<2\nodd==1x"
    small.edit("requirements.txt", "beta==1.0\n", mine)
    small.commit("Edit")
    assert report(small, "update")["conflicts"] == {}
    assert small.read("requirements.txt") == f"{mine}\nalpha==1.1\ngamma==1.0\n"
    assert small.has("locked")


def test_lock_file_may_have_any_bytes(small):
    (small / "requirements.txt").write_bytes(b"# \xff\nalpha==1.0\n")
    small.commit("Edit")
    assert report(small, "update")["conflicts"] == {}
    merged = b"# \xff\nalpha==1.1\nbeta==1.0\ngamma==1.0\n"
    assert (small / "requirements.txt").read_bytes() == merged


def test_make_arguments_of_the_update_do_not_reach_make_lock(small):
    report(small, "update", ARGS="-d project_slug=store", MAKEFLAGS=" -- ARGS=x")
    assert small.has("locked")


def test_merged_project_that_fails_its_gates_exits_with_1(small):
    (small / "broken").touch()
    small.commit("Break")
    assert report(small, "update", code=1)["gates"] is False


def test_reverted_update_is_merged_again(small):
    run(small, "update")
    merged = text("changed", "1 new")
    small.commit("Update")
    small.run_ok("git", "revert", "--no-edit", "HEAD")
    small.run_ok("git", "branch", "--move", "reverted")
    assert small.read("changed") == text("changed")
    assert report(small, "update")["conflicts"] == {}
    assert small.read("changed") == merged


@pytest.mark.parametrize("name", ["changed", "broken"])
def test_printed_commands_commit_the_whole_update(small, name):
    (small / name).write_text("mine\n")
    small.commit("Edit")
    done = run(small, "update")
    assert done.returncode == 1
    # A person resolves the conflict, or fixes what breaks make lint.
    (small / name).unlink()
    steps = re.search(r"hen run (.*)\.$", done.stdout, re.MULTILINE)[1]
    for step in re.split(", | and ", steps):
        message = ["--message=Update"] * (step == "git commit")
        small.run_ok(*step.split(), *message)
    assert small.run("git", "status", "--porcelain").stdout == ""


def test_undo_restores_everything(small):
    edit(small, "removed")
    small.run_ok("git", "branch", "--move", "removed")
    before = state(small)
    done = run(small, "update")
    assert state(small) != before
    (small / ".git/index.lock").touch()
    undo(small, done.stdout)
    assert state(small) == before


def test_undo_returns_to_a_detached_head(small):
    small.run_ok("git", "checkout", "--detach")
    before = state(small)
    undo(small, run(small, "update").stdout)
    assert state(small) == before


def test_undo_returns_to_a_branch_with_any_name(small):
    small.run_ok("git", "branch", "--move", "$it's;")
    before = state(small)
    undo(small, run(small, "update", "--merge-only").stdout)
    assert state(small) == before


def test_update_of_an_older_version_that_is_named(small):
    report(small, "update", "--merge-only")
    small.commit("Update")
    small.run_ok("git", "branch", "--move", "done")
    merged = report(small, "update", "--vcs-ref=v1.0.0")
    assert (merged["wanted"], merged["conflicts"]) == ("v1.0.0", {})
    assert small.read("changed") == text("changed")


def test_update_leaves_other_projects_of_the_repository(small, tmp_path):
    repository = Project(tmp_path / "repository")
    shop, other = (small.copy_to(repository / name) for name in ("shop", "other"))
    for project in (shop, other):
        shutil.rmtree(project / ".git")
    (shop / "changed").unlink()
    repository.commit()
    assert report(shop, "update")["kept_deleted"] == ["changed"]
    assert other.read("changed") == text("changed")


def test_update_in_a_folder_of_a_repository(small, tmp_path):
    repository = Project(tmp_path / "repository")
    shop = small.copy_to(repository / "services/shop")
    shutil.rmtree(shop / ".git")
    (repository / "changed").write_text("not of the template\n")
    for name in ("changed", "removed"):
        shop.edit(name, f"{name} 8", "8 mine")
    repository.commit()
    repository.run_ok("git", "sparse-checkout", "set", "services/shop")
    (repository / "untracked").touch()
    before = state(repository)
    done = run(shop, "update")
    keep_or_remove = "Move your edits of a removed or renamed file, then git rm it;"
    assert f"  removed: {GONE}\n{keep_or_remove}" in done.stdout
    assert shop.read("changed") == merged_text("changed")
    assert repository.read("changed") == "not of the template\n"
    undo(shop, done.stdout)
    assert state(repository) == before


HOSTILE = """
[color]
    ui = always
[commit]
    gpgSign = true
[core]
    autocrlf = input
    safecrlf = true
    attributesFile = {folder}/attributes
    excludesFile = {folder}/ignore
    hooksPath = {folder}/hooks
    quotePath = true
[diff]
    external = false
    noprefix = true
    renames = false
[merge]
    conflictStyle = zdiff3
    default = union
    renames = false
    directoryRenames = true
[rerere]
    enabled = true
    autoUpdate = true
[status]
    showUntrackedFiles = no
[submodule]
    recurse = true
[user]
    useConfigOnly = true
"""


def test_update_does_not_depend_on_the_users_git_configuration(small, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "post-checkout", "reference-transaction"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "attributes").write_text("* merge=union\n")
    (tmp_path / "ignore").write_text("added\nchanged\n")
    (tmp_path / "gitconfig").write_text(HOSTILE.format(folder=tmp_path))
    edit(small, "folder/old name")
    edit(small, "changed", "1")
    variables = {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        # As in a hook
        "GIT_DIR": str(small / ".git"),
        "GIT_INDEX_FILE": str(small / ".git/index"),
    }
    merged = report(small, "update", code=1, **variables)
    assert merged["conflicts"] == {"changed": BOTH}
    assert small.read("folder/new name") == merged_text("folder/old name")
    assert small.read("added") == text("added")


def test_template_without_releases_updates_to_its_last_commit(tmp_path):
    template = make_template(tmp_path / "template")
    template.run_ok("git", "tag", "--delete", "v1.0.0")
    project = copy(template, tmp_path / "project")
    template.edit("template/changed", "changed 1", "1 new")
    newest = template.commit("Change")
    assert report(project, "status")["newer"] == [newest[:7]]
    assert report(project, "update")["wanted"] == newest[:7]
    assert project.read("changed") == text("changed", "1 new")


def test_project_of_a_commit_after_a_release_is_not_set_back(tmp_path):
    template = make_template(tmp_path / "template")
    template.edit("template/changed", "changed 1", "1 new")
    template.commit("Change")
    project = copy(template, tmp_path / "project", "--vcs-ref=HEAD")
    done = run(project, "update")
    assert done.returncode == 2
    assert "v1.0.0, is older than the one of this project, v1.0.0-1-g" in done.stdout
    release(template, "v1.1.0", {"template/added": "new\n"})
    assert report(project, "update")["wanted"] == "v1.1.0"
