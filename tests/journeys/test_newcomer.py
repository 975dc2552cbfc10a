"""A newcomer: from the README's command, over the questions, to a green `make ci` and a push."""

import re

import pytest

from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.support.terminal import CLEAR, CTRL_C, DOWN, ENTER

pytestmark = [pytest.mark.slow, pytest.mark.seconds(60)]
README = (TEMPLATE / "README.md").read_text()


def test_newcomer_reaches_a_green_ci_and_a_push(slipway, shell, browse, tmp_path):
    slipway.run_ok(
        "git", "init", "--quiet", "--bare", f"{tmp_path}/ann/corner-shop.git"
    )
    with (tmp_path / "gitconfig").open("a") as file:
        file.write(f'[url "{tmp_path}/ann/"]\n\tinsteadOf = git@gitlab.com:ann/\n')
    project = Project(tmp_path / "home/my-project")
    terminal = shell()
    printed = {}

    (command,) = set(re.findall(r"^uvx copier copy .*", README, re.MULTILINE))
    terminal.paste(command.replace("<address>", str(slipway.path)))
    terminal.press(
        project_name=CLEAR + "Corner Shop" + ENTER,
        use_redis="y",
        ci_provider=DOWN + ENTER,
    )
    code, output = terminal.outcome()
    assert code == 0, output
    message = output.partition("Corner Shop is ready.")[2]
    commands = re.findall(r"^ +((?:cd|git|make) .*?)(?: +#.*)?$", message, re.MULTILINE)
    assert [it.split()[0] for it in commands].count("make") == 2

    try:
        for command in commands:
            if command == "make dev":
                terminal.paste(command)
                terminal.child.expect(r"http://\S+:\d+/")
                title = browse(terminal.child.match[0]).title()
                terminal.child.send(CTRL_C)
                _, rest = terminal.ended()
                assert rest.count("Warning") == 0, rest
                assert "Corner Shop" in title
            else:
                # A person writes the name of the group.
                printed[command] = terminal.ok(command.replace("GROUP", "ann"))
    finally:
        project.make("services-stop")

    # The rest of the message stays on the screen.
    (commit,) = [it for it in printed if "git commit" in it]
    assert printed[commit] == ""
    summary = printed["make ci"]
    assert re.search(r"^All 4 gates passed in", summary, re.MULTILINE), summary
    assert re.search(r"^test +passed .* passed, .*% covered$", summary, re.MULTILINE)
    assert max(map(len, summary.splitlines())) <= 80
    remote = Project(tmp_path / "ann/corner-shop.git")
    assert remote.run("git", "rev-parse", "main").stdout.strip() == project.head()
    assert project.has(".gitlab-ci.yml")
    assert project.run("git", "status", "--porcelain").stdout == ""
