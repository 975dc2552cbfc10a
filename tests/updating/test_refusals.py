"""What cannot be updated is refused with its reason, and nothing is changed."""

import fcntl
import signal
import subprocess
import sys
import time

import pytest

from tests.support.project import Project
from tests.updating.small import SCRIPT, run, state, write


def refusal(project, *options):
    """Return why an update is refused, which must change nothing and leave nothing behind."""
    before = state(project)
    done = run(project, "update", *options)
    assert done.returncode == 2, done.stdout
    assert state(project) == before
    assert not (project / ".git/template-update").exists()
    return done.stdout


def test_edited_file_is_refused_until_it_is_committed(small):
    small.edit("same", "same 1", "mine")
    small.run_ok("git", "mv", "changed", "moved")
    files = ["changed", "moved", "same"]
    title = "Commit or stash these files first:"
    assert refusal(small).splitlines() == [title, *(f"  {name}" for name in files)]


def test_untracked_file_is_refused_until_it_is_committed(small):
    (small / "näme").touch()
    assert refusal(small) == "Commit or stash these files first:\n  näme\n"


@pytest.mark.parametrize(
    ("name", "path"),
    {
        "new file": ("added", "added"),
        "changed file": ("changed", "changed"),
        "file as a folder": ("folder", "folder"),
        "folder as a file": ("added", "added/mine"),
    }.values(),
)
def test_ignored_file_in_the_place_of_another_is_refused(small, name, path):
    small.run_ok("git", "rm", "-r", "--quiet", "--ignore-unmatch", name)
    (small / ".git/info/exclude").write_text(f"{name}\n")
    write(small, {path: "mine\n"})
    (small / "note").touch()
    small.commit("Ignore it")
    assert f"which git ignores here. Move them:\n  {name}\n" in refusal(small)


def test_ignored_link_in_the_place_of_a_folder_is_refused(small, tmp_path):
    small.run_ok("git", "rm", "-r", "--quiet", "folder")
    (small / ".git/info/exclude").write_text("folder\n")
    (small / "folder").symlink_to(tmp_path)
    small.commit("Ignore it")
    assert "which git ignores here. Move them:\n  folder\n" in refusal(small)


def test_second_run_at_the_same_time_is_refused(small):
    with open(small / ".git/template-update.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (
            refusal(small)
            == "Another template command is running here. Wait until it ends.\n"
        )


def test_interrupted_run_cleans_up_without_a_traceback(small):
    command = [sys.executable, str(SCRIPT), "status"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    before = state(small)
    with subprocess.Popen(command, cwd=small.path, **pipes) as process:
        while not (small / ".git/template-update").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("Interrupted\n", None)
    assert process.returncode == 130
    assert state(small) == before
    assert not (small / ".git/template-update").exists()


def test_branch_of_an_earlier_update_is_refused(small):
    small.run_ok("git", "branch", "template-update")
    assert "git branch -D template-update" in refusal(small)


@pytest.mark.parametrize(
    ("options", "reason"),
    {
        "unknown version": (["--vcs-ref=v9.9.9"], "Unknown revision: 'v9.9.9'\n"),
        "refused answer": (["-d", "name=class"], "question 'name': Reserved.\n"),
        "unknown question": (["-d", "nme=x"], "template does not ask for nme.\n"),
    }.values(),
)
def test_wrong_option_is_refused_with_its_reason(small, options, reason):
    assert reason in refusal(small, *options)


def test_template_that_is_gone_is_refused_with_its_address(small):
    answers = small.read(".copier-answers.yml").splitlines(keepends=True)
    answers = [line for line in answers if not line.startswith("_src_path")]
    text = "".join([*answers, "_src_path: /nowhere\n"])
    (small / ".copier-answers.yml").write_text(text)
    small.commit()
    refused = "Copier cannot copy /nowhere, the _src_path in .copier-answers.yml: Local"
    assert refusal(small).startswith(refused)


@pytest.mark.parametrize("text", [None, "", "name: shop\n", "{"])
def test_answers_that_copier_did_not_write_are_refused(small, text):
    path = small / ".copier-answers.yml"
    path.unlink() if text is None else path.write_text(text)
    small.commit()
    assert ".copier-answers.yml is missing, or not as Copier wrote it (" in refusal(
        small
    )


def test_folder_without_git_is_refused(tmp_path):
    done = run(Project(tmp_path), "update", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert (done.returncode, "not a git repository" in done.stdout) == (2, True)
