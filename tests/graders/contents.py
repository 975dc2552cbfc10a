"""Grade contents that several projects have."""

import importlib.metadata
from pathlib import Path

from tests.graders import github, gitlab, tools
from tests.support.contents import refuse
from tests.support.verdicts import code_of

# Every tool is a package here; the versions of all others are in the code.
PACKAGES = sorted([it.name, it.version] for it in importlib.metadata.distributions())


def refuse_graded(grader, owners, folder):
    """Fail for each content in which a grader finds something.

    `owners` has the names of the projects of each content. The grader gets all contents
    at once, as files of a folder.
    """

    def judge(items):
        files = {
            folder / f"{number}.{Path(item.path).name}": item
            for number, item in enumerate(items)
        }
        for file, item in files.items():
            file.write_text(item.text)
        findings = {item: [] for item in items}
        for finding in grader(*files):
            concerned = [it for file, it in files.items() if str(file) in finding]
            for item in concerned or items:
                findings[item].append(finding)
        return findings

    code = [code_of(grader, tools), code_of(github.SCRIPT, gitlab.SCRIPT)]
    refuse(
        *(grader.__name__, owners),
        lambda content: [content.path, content.hash, code, PACKAGES],
        judge,
    )
