"""Grade contents that several projects have."""

import sys
from pathlib import Path

from tests.graders import github, gitlab
from tests.support.contents import refuse
from tests.support.verdicts import PACKAGES, code_of, once


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
            concerned = [file for file in files if str(file) in finding]
            # A finding that names no file may be about any of them.
            for file in concerned or files:
                findings[files[file]].append(finding.replace(f"{file}: ", ""))
        return findings

    refuse(
        *(grader.__name__, owners),
        lambda content: [content.path, content.hash, *governed_by(grader)],
        judge,
    )


def grade_text(grader, text, file):
    """Return what a grader finds in a text, written to a new file.

    A text that has passed is not graded again.
    """

    def judge():
        file.write_text(text)
        return grader(file)

    return once(grader.__name__, [text, *governed_by(grader)], judge)


def finds_defect(grader, text, file):
    """Return whether a grader finds anything in a text, written to a new file.

    Where it did, the text is not graded again.
    """

    def judge():
        file.write_text(text)
        return [] if grader(file) else ["nothing is found"]

    return not once(f"{grader.__name__} finds", [text, *governed_by(grader)], judge)


def governed_by(grader):
    """Return what a verdict depends on, next to the content.

    Every tool is a package of ours, or its version is in the code.
    """
    code = code_of(grader, sys.modules[__name__], github.SCRIPT, gitlab.SCRIPT)
    return [code, PACKAGES]
