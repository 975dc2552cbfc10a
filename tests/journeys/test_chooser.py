"""A chooser: from clicks on the start page, over its command, to the files that it showed."""

import pytest

from start_page.build import main
from start_page.questions import CHOICES
from tests.support.options import QUESTIONS
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.seconds(40)]
# The last choice changes many files.
CHOSEN = {
    "use_docker": True,
    "ci_provider": "gitlab",
    "deploy_target": "fly",
    "python_version": "3.14",
    "use_redis": True,
}


def label(name, value):
    """Return the words next to a choice."""
    return next(it.label for it in CHOICES[name] if it.value == value)


def lines(page):
    """Return the lines of the shown file, without those that the last choice has removed."""
    found = page.locator("#content li > :is(ins, span:not(.sign))")
    return found.evaluate_all("lines => lines.map((it) => it.textContent)")


def test_chooser_gets_the_files_of_the_start_page(
    slipway, shell, browse, monkeypatch, tmp_path
):
    # The command names the version of this repository.
    monkeypatch.setattr("start_page.build.TEMPLATE", slipway.path)
    main(["--address", str(slipway.path), "--place", str(tmp_path / "page")])
    page = browse((tmp_path / "page/index.html").as_uri())
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for name, value in CHOSEN.items():
        question = page.get_by_role("group", name=QUESTIONS[name]["help"])
        question.get_by_text(label(name, value), exact=True).click()
    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("Copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    tree = page.locator("#tree button")
    names = {it.get_attribute("data-path") for it in tree.all()}

    terminal = shell()
    terminal.ok(command)

    project = Project(tmp_path / "home/my-project")
    assert project.files() == names
    page.get_by_label("Only what the last choice changed").check()
    shown = {}
    for file in tree.all():
        file.click()
        shown[page.locator("#file-name").inner_text()] = lines(page)
    assert len(shown) > 10
    # The answers also have the version of the template.
    shown.pop(".copier-answers.yml")
    assert shown == {name: project.read(name).split("\n")[:-1] for name in shown}
    assert {"deploy/fly.py", "config/redis.py", ".gitlab-ci.yml"} <= names
