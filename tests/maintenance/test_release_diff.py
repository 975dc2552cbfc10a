"""`make release-diff` prints what changed in a project between two versions."""

import subprocess

import pytest

from tests.maintenance.release_diff import print_difference
from tests.support.options import TEMPLATE
from tests.support.project import Project, clean_environment

QUESTION = "_subdirectory: template\ncolor:\n  type: str\n  default: red\n"
ANSWERS = "{{ _copier_answers|to_nice_yaml -}}\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a template with the versions v1.0.0 and v1.1.0."""
    template = Project(tmp_path_factory.mktemp("template"))
    (template / "template").mkdir()
    (template / "copier.yml").write_text(QUESTION)
    (template / "template/{{ _copier_conf.answers_file }}.jinja").write_text(ANSWERS)
    (template / "template/page.txt.jinja").write_text("A {{ color }} page\n")
    (template / "template/same.txt").write_text("Always\n")
    template.commit()
    template.tag("v1.0.0")
    (template / "template/page.txt.jinja").write_text("One {{ color }} page\n")
    template.commit("Change")
    template.tag("v1.1.0")
    return template.path


def test_difference_has_the_chosen_answers(template, capfd):
    print_difference(template, "v1.0.0", "v1.1.0", ["-d", "color=blue"])

    printed = capfd.readouterr().out
    assert "-A blue page\n+One blue page\n" in printed
    assert "same.txt" not in printed
    assert "_commit" not in printed


def test_same_version_has_no_difference(template, capfd):
    print_difference(template, "v1.1.0", "v1.1.0", [])

    expected = "With these answers, v1.1.0 and v1.1.0 make the same files.\n"
    assert capfd.readouterr().out == expected


def test_unknown_version_is_refused_in_one_line(template):
    with pytest.raises(SystemExit, match="^Copier cannot copy v9: .*revision.*'v9'$"):
        print_difference(template, "v1.0.0", "v9", [])


def test_make_compares_the_versions_with_the_answers():
    command = ["make", "release-diff", "FROM=HEAD", "TO=HEAD"]
    command.append("ARGS=-d use_redis=true")
    done = run(*command)

    assert (done.returncode, done.stdout) == (
        0,
        "With these answers, HEAD and HEAD make the same files.\n",
    ), done.stderr


def test_make_needs_a_version():
    done = run("make", "release-diff")

    assert done.returncode == 2
    assert "Set the versions: make release-diff FROM=v1.0.0 TO=main\n" in done.stderr


def run(*command):
    """Run a command in this checkout."""
    return subprocess.run(
        command, cwd=TEMPLATE, env=clean_environment(), capture_output=True, text=True
    )
