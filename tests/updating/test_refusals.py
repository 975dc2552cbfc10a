"""What cannot be updated is refused with its reason, and nothing is changed."""

import pytest

from tests.support.project import Project
from tests.updating.small import run, state


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
    assert refusal(small) == "Commit or stash these files first:\n  same\n"


def test_untracked_file_is_refused_until_it_is_committed(small):
    (small / "näme").touch()
    assert refusal(small) == "Commit or stash these files first:\n  näme\n"


def test_ignored_file_in_the_place_of_a_new_one_is_refused(small):
    (small / ".git/info/exclude").write_text("added\n")
    (small / "added").write_text("mine\n")
    assert "which git ignores here. Move them:\n  added\n" in refusal(small)


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
    assert "_src_path in .copier-answers.yml: /nowhere\n" in refusal(small)


@pytest.mark.parametrize("text", [None, "", "name: shop\n", "{"])
def test_answers_that_copier_did_not_write_are_refused(small, text):
    path = small / ".copier-answers.yml"
    path.unlink() if text is None else path.write_text(text)
    small.commit()
    assert ".copier-answers.yml must have what Copier wrote" in refusal(small)


def test_folder_without_git_is_refused(tmp_path):
    done = run(Project(tmp_path), "update", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert (done.returncode, "not a git repository" in done.stdout) == (2, True)
