"""What cannot be updated is refused with its reason, and nothing is changed."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.project import Project
from tests.updating.small import (
    SCRIPT,
    copy,
    make_template,
    release,
    run,
    state,
    undo,
    write,
)

QUESTIONS = """\
guard:
  type: str
  default: all
  validator: "{% if _copier_conf.data.extra == 'flase' %}Wrong.{% endif %}"
shape:
  type: str
  default: "{{ shape | default('round') }}"
  validator: "{% if shape == 'square' %}Reserved.{% endif %}"
count: {type: int, default: 1}
kind:
  type: str
  choices:
    A: a
    B: {value: b, validator: "{% if not extra %}needs extra{% endif %}"}
  default: a
"""


@pytest.fixture
def asked(tmp_path):
    """Return a project of a template that refuses answers."""
    template = make_template(tmp_path / "template")
    release(template, "v1.1.0", {"copier.yml": template.read("copier.yml") + QUESTIONS})
    return copy(template, tmp_path / "project")


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


def test_files_that_git_would_no_longer_ignore_are_refused(small):
    names = ("own/mine.pyc", "own/folder/mine.pyc", "own/secret", "own/secrets/key")
    write(small, dict.fromkeys(names, "mine\n"))
    reason = "git no longer ignores these files. Move them, or add them"
    assert refusal(small).endswith(
        f"{reason} to your part of .gitignore:\n  own/secret\n  own/secrets/\n"
    )


def test_file_whose_changes_git_hides_is_refused(small):
    small.edit("same", "same 1", "mine")
    small.run_ok("git", "update-index", "--assume-unchanged", "same")
    assert "--no-assume-unchanged on these files, because" in refusal(small)
    assert "mine\n" in small.read("same")


def break_a_filter(project, name):
    """Let git fail when it writes a file, as Git LFS does without a network."""
    (project / ".gitattributes").write_text(f"{name} filter=broken\n")
    settings = {"clean": "cat", "smudge": "false", "required": "true"}
    for setting, value in settings.items():
        project.run_ok("git", "config", f"filter.broken.{setting}", value)
    project.commit()


def test_merge_that_git_cannot_finish_is_rolled_back(small):
    break_a_filter(small, "added")
    assert "git cannot merge the template: error: external filter" in refusal(small)


def test_merge_that_cannot_be_rolled_back_names_the_commands(small):
    break_a_filter(small, "extra")
    before = state(small)
    done = run(small, "update")
    assert (done.returncode, state(small) != before) == (2, True)
    assert "git cannot merge the template: error: external filter" in done.stdout
    assert done.stdout.endswith("Remove the cause, and run the commands above.\n")
    small.run_ok("git", "config", "filter.broken.smudge", "cat")
    undo(small, done.stdout)
    assert state(small) == before


def test_folder_of_git_that_cannot_be_written_is_refused(small):
    (small / ".git/template-update.lock").mkdir()
    done = run(small, "status")
    assert done.returncode == 2
    assert done.stdout.startswith("[Errno 21] Is a directory: ")
    assert done.stdout.count("\n") == 1


def test_git_that_is_too_old_is_refused(small, tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.37.9\n")
    (tmp_path / "git").chmod(0o755)
    done = run(small, "update", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (
        2,
        "Install git 2.38 or newer: this is 2.37.9.\n",
    )


def test_output_that_is_closed_interrupts_without_a_traceback(small):
    command = [sys.executable, "-u", str(SCRIPT), "update"]
    ours, theirs = os.pipe()
    os.close(ours)
    before = state(small)
    done = subprocess.run(
        command, cwd=small.path, stdout=theirs, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (130, b"Interrupted\n")
    assert state(small) == before


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


@pytest.mark.parametrize(
    ("operation", "commands"),
    {
        "merge": "git merge --quiet --no-commit side",
        "rebase": "git rebase --quiet --exec false HEAD~1",
        "am": "git format-patch --stdout -1 | git am",
        "cherry-pick": "git cherry-pick HEAD",
        "revert": "git revert HEAD~1",
        "cherry-pick or revert": "git cherry-pick HEAD side || git commit --allow-empty --message x",
        "bisect": "git bisect start",
    }.items(),
)
def test_unfinished_operation_of_git_is_refused(small, operation, commands):
    for line in ("one", "two"):
        (small / "mine").write_text(line)
        small.commit(line)
    small.run_ok("git", "switch", "--quiet", "--create", "side", "HEAD~1")
    (small / "theirs").touch()
    small.commit("side")
    small.run_ok("git", "switch", "--quiet", "-")
    small.run("bash", "-c", commands)
    name = {"am": "rebase"}.get(operation, operation)
    expected = f"Finish or abort the {name} first: git status lists the commands.\n"
    assert refusal(small) == expected


def test_branch_of_an_earlier_update_is_refused(small):
    small.run_ok("git", "branch", "template-update")
    assert "git branch -D template-update" in refusal(small)


@pytest.mark.parametrize(
    ("options", "reason"),
    {
        "unknown version": (["--vcs-ref=v9.9.9"], "Unknown revision: 'v9.9.9'\n"),
        "misspelled yes or no": (["-d", "extra=flase"], "not with flase.\n"),
        "unknown question": (["-d", "nme=x"], "template does not ask for nme.\n"),
    }.values(),
)
def test_wrong_option_is_refused_with_its_reason(small, options, reason):
    assert reason in refusal(small, *options)


@pytest.mark.parametrize(
    ("answers", "reason"),
    {
        "validator": (["shape=square"], "shape: Reserved"),
        "no choice": (["kind=c"], "kind: 'c' is not in ['a', 'b']"),
        "choice that needs another answer": (
            ["kind=b", "extra=false"],
            "kind: needs extra",
        ),
    }.values(),
)
def test_refused_answer_is_named_with_the_reason(asked, answers, reason):
    options = [option for answer in answers for option in ("-d", answer)]
    name = reason.partition(":")[0]
    assert refusal(asked, *options) == (
        f"The template refuses the answer to {reason}. "
        f'Set answers that fit: ARGS="-d {name}=VALUE"\n'
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("extra=flase", "true or false, not with flase"),
        ("count=9x", "a number, not with 9x"),
    ],
)
def test_misspelled_answer_is_named_even_if_another_question_refuses_it(
    asked, answer, reason
):
    name = answer.partition("=")[0]
    assert refusal(asked, "-d", answer) == f"Answer {name} with {reason}.\n"


@pytest.mark.parametrize("command", ["status", "update"])
def test_recorded_answer_that_its_version_refuses_is_to_be_corrected(asked, command):
    asked.edit(".copier-answers.yml", "shape: round", "shape: square")
    asked.commit()
    done = run(asked, command)
    assert (done.returncode, done.stdout) == (
        2,
        "The template refuses the answer to shape: Reserved. "
        "Correct it in .copier-answers.yml, and commit the file.\n",
    )


def test_template_that_is_gone_is_refused_with_its_address(small):
    answers = small.read(".copier-answers.yml").splitlines(keepends=True)
    answers = [line for line in answers if not line.startswith("_src_path")]
    text = "".join([*answers, "_src_path: /nowhere\n"])
    (small / ".copier-answers.yml").write_text(text)
    small.commit()
    refused = "Copier cannot copy /nowhere, the _src_path in .copier-answers.yml: Local"
    assert refusal(small).startswith(refused)


def test_template_that_needs_a_newer_copier_names_the_way_out(tmp_path):
    template = make_template(tmp_path / "template")
    project = copy(template, tmp_path / "project")
    newer = '_min_copier_version: "99"\n' + template.read("copier.yml")
    release(template, "v1.1.0", {"copier.yml": newer})
    done = refusal(project)
    assert done.startswith("This template requires Copier version >= 99")
    assert done.endswith(
        " Update from a checkout of the template: see its docs/update.md.\n"
    )


def test_address_of_the_template_is_no_option_of_git(small, tmp_path):
    (small / ".copier-answers.yml").write_text(
        f"_commit: v1.0.0\n_src_path: --upload-pack=touch {tmp_path}/made;\n"
    )
    small.run_ok("git", "remote", "add", "origin", str(small.path))
    assert run(small, "status").returncode == 2
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text", [None, "", "project_slug: shop\n", "{", "_commit:\n_src_path: x\n", b"\xff"]
)
def test_answers_that_copier_did_not_write_are_refused(small, text):
    path = small / ".copier-answers.yml"
    content = text.encode() if isinstance(text, str) else text
    path.unlink() if text is None else path.write_bytes(content)
    small.commit()
    assert ".copier-answers.yml is missing, or not as Copier wrote it (" in refusal(
        small
    )


def test_folder_without_git_is_refused(tmp_path):
    done = run(Project(tmp_path), "update", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert (done.returncode, "not a git repository" in done.stdout) == (2, True)
