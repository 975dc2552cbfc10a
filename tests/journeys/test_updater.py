"""A person who updates: from the changelog's list, over a conflict, to a merged update."""

import re
import subprocess

import pytest

from tests.support.machine import give_up
from tests.support.options import TEMPLATE
from tests.support.project import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.seconds(60),
    pytest.mark.xdist_group("site"),
]
# The template had `make template-update` then, and another `make ci`.
OLDER = "42bc65b"
PARTS = ("copier.yml", "extensions", "template")
YOURS = "# Yours: an update changes nothing below this line.\n"
CONFLICT = "\n  Makefile: you and the template have changed it"
# Its second part is the template's.
CONFLICTING = re.compile(r"<{7} .*?={7}\n(.*?)>{7} .*?\n", re.DOTALL)
GATE = "\n.PHONY: spelling\nspelling:\n\t@echo Spelling is correct\n"


@pytest.fixture
def releases(template, tmp_path):
    """Return a repository of the template with two releases: an older commit, and it as it is."""
    repository = Project(tmp_path / "repository")
    repository.path.mkdir()
    command = ["git", "archive", f"--output={tmp_path}/older.tar", OLDER, *PARTS]
    if subprocess.run(command, cwd=TEMPLATE, capture_output=True).returncode:
        give_up(f"this needs commit {OLDER}: git fetch --unshallow")
    repository.run_ok("tar", "-xf", f"{tmp_path}/older.tar")
    repository.commit("Older")
    repository.tag("v1.0.0")
    repository.run_ok("git", "rm", "-r", "--quiet", ".")
    for part in PARTS:
        repository.run_ok("cp", "-r", str(template / part), ".")
    repository.commit("As it is")
    repository.tag("v1.1.0")
    return repository


def test_updater_merges_a_release_into_an_edited_project(
    releases, shell, browse, website, tmp_path
):
    terminal = shell()
    make = f"uvx copier copy --quiet --defaults --vcs-ref v1.0.0 {releases.path} shop"
    terminal.ok(make)
    project = Project(tmp_path / "home/shop")
    project.edit("Makefile", YOURS, YOURS + GATE)
    before = re.search("^ci: .*? (?=##)", project.read("Makefile"), re.MULTILINE)[0]
    project.edit("Makefile", before, f"{before}spelling ")
    (project / "docs/shop.md").write_text("# Our shop\n")
    project.commit()

    page = browse(website)
    page.get_by_role("link", name="Changelog").first.click()
    actions = page.locator("section:has(> h4)", has_text="Everyone").all_inner_texts()
    commands = set(
        re.findall(r"\brun (make [a-z-]+)", "\n".join(actions), re.IGNORECASE)
    )
    advice = page.get_by_text("Add a gate of your own").inner_text()
    gates = re.search(r"GATES \+= ", advice)[0]

    terminal.ok("cd shop")
    assert "Newer: v1.1.0. See them: make template-diff" in terminal.ok(
        "make template-status"
    )
    assert terminal.ok("make template-diff").endswith(f"will conflict:{CONFLICT}\n")
    code, output = terminal.run("make template-update")
    assert code == 2
    assert f"Resolve these conflicts:{CONFLICT}\n" in output
    text = CONFLICTING.sub(r"\1", project.read("Makefile"))
    assert text != project.read("Makefile")
    (project / "Makefile").write_text(f"{text}{gates}spelling\n")
    next_steps = re.search("Then run (.*)[.]$", output, re.MULTILINE)[1]
    printed = {}
    try:
        for command in re.split(", | and ", next_steps):
            message = ' --message "Update the template"' * (command == "git commit")
            printed[command] = terminal.ok(command + message)
    finally:
        project.make("services-stop")
    terminal.ok("git switch main && git merge template-update")

    summary = printed["make ci"]
    assert re.search("^All 5 gates passed", summary, re.MULTILINE), summary
    assert re.search("^spelling +passed", summary, re.MULTILINE)
    status = terminal.ok("make template-status")
    assert "has version v1.1.0 of" in status
    assert "No version is newer." in status
    assert project.read("docs/shop.md") == "# Our shop\n"
    assert project.run("git", "status", "--porcelain").stdout == ""
    targets = {f"make {it.split()[0]}" for it in terminal.ok("make help").splitlines()}
    assert "make lint" in commands
    assert commands <= targets
