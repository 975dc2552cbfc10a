"""What a project has of its template, and what an update would bring; both change nothing."""

import os
import subprocess
import sys

from tests.updating.small import SCRIPT, YOURS, report, run, state, write

GONE = "you have changed it, and the template has removed or renamed it"


def test_status_lists_newer_versions(small):
    status = report(small, "status")
    assert (status["version"], status["newer"]) == ("v1.0.0", ["v1.1.0"])
    assert (
        "Newer: v1.1.0. See them: make template-diff\n" in run(small, "status").stdout
    )


def test_status_lists_changed_and_missing_files_of_the_template(small):
    write(small, {"changed": "mine\n", "same": None, "mine": "mine\n"})
    status = report(small, "status")
    assert (status["changed"], status["missing"]) == (["changed"], ["same"])


def test_status_does_not_list_what_teams_extend_or_lock(small):
    extended = small.read("extended") + "mine\n"
    assert YOURS in extended
    write(small, {"extended": extended, "requirements.txt": "alpha==2.0\n"})
    assert report(small, "status")["changed"] == []


def test_status_fails_while_a_file_has_the_rest_of_a_conflict(small):
    # The attributes of a file set the length of its markers, and hide it from git grep.
    write(
        small,
        {
            ".gitattributes": "extra conflict-marker-size=9\nsame -diff\n",
            "extra": ">>>>>>>>> mine\n",
            "same": "<<<<<<< HEAD\n",
            "changed.rej": "mine\n",
        },
    )
    found = report(small, "status", code=1)["conflicts"]
    assert found == ["extra", "same", "changed.rej"]


def test_diff_shows_the_change_and_its_conflicts(small):
    small.edit("changed", "changed 1", "mine")
    small.edit("removed", "removed 8", "mine")
    small.commit()
    (small / "untracked").touch()
    before = state(small)
    done = run(small, "diff")
    assert "-changed 1\n+1 new\n" in done.stdout
    conflicts = report(small, "diff")["conflicts"]
    assert conflicts == {
        "changed": "you and the template have changed it",
        "removed": GONE,
    }
    assert state(small) == before


def test_diff_ends_quietly_when_a_pager_does(small):
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, str(SCRIPT), "diff"]
    done = subprocess.run(
        command, cwd=small.path, stdout=theirs, stderr=subprocess.PIPE
    )
    assert done.stderr == b""


def test_diff_of_answers_names_their_files(small):
    change = report(small, "diff", "--vcs-ref=v1.0.0", "-d", "extra=false")
    assert change["files"] == [".copier-answers.yml", "extra"]


def test_diff_predicts_what_an_update_does(small):
    small.edit("extra", "extra 1", "mine")
    (small / "changed").unlink()
    small.commit()
    keys = ("files", "conflicts", "kept_deleted", "new_answers")
    predicted = report(small, "diff")
    updated = report(small, "update", code=1)
    assert [predicted[key] for key in keys] == [updated[key] for key in keys]
    assert predicted["kept_deleted"] == ["changed"]
