"""Write the recorded session into docs/first-five-minutes.md."""

import sys
import tempfile

from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.support.session import PAGE, conversation, gates, recorded
from tests.support.terminal import Terminal

COPY = (sys.executable, "-W", "ignore", "-m", "copier", "copy", "--vcs-ref=HEAD")


def main():
    """Make a project with every default, run `make ci`, and record what both print."""
    with tempfile.TemporaryDirectory() as folder:
        copying = Terminal(*COPY, str(TEMPLATE), "my-project", cwd=folder)
        copying.answer()
        project = Project(f"{folder}/my-project")
        project.commit()
        checked = project.make_ok("ci").stdout
        project.make("services-stop")
    page = PAGE.read_text()
    sessions = {
        "Make a project": conversation(copying.printed.getvalue()),
        "Check it": gates(checked),
    }
    for title, lines in sessions.items():
        old = "\n".join(["```text", *recorded(title), "```"])
        page = page.replace(old, "\n".join(["```text", *lines, "```"]))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
