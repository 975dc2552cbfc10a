"""Print what changed in a project between two versions of the template.

`make release-diff FROM=v1.0.0 TO=v1.1.0 ARGS="-d use_redis=true"` renders both versions with
the same answers, and prints the difference as git does.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.options import TEMPLATE

COPIER = Path(sys.prefix, "bin", "copier")
# The answers file records the version and the address, which differ in any case.
RECORDED = re.compile("^_(commit|src_path):.*\n", re.MULTILINE)


def main():
    old, new, *options = sys.argv[1:]
    print_difference(TEMPLATE, old, new, options)


def print_difference(template, old, new, options):
    """Print the difference between two versions, which are tags, branches or commits.

    `options` are Copier's, such as -d NAME=VALUE. Raises SystemExit with the reason if a
    version cannot be rendered with them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, version in (("old", old), ("new", new)):
            render(template, version, options, Path(folder, name))
        command = ["git", "diff", "--no-index", "--no-ext-diff", "--find-renames"]
        done = subprocess.run([*command, "--no-prefix", "old", "new"], cwd=folder)
    if not done.returncode:
        print(f"With these answers, {old} and {new} make the same files.")


def render(template, version, options, folder):
    """Render a version of the template. Raises SystemExit, with Copier's reason."""
    command = [COPIER, "copy", "--quiet", "--defaults", "--vcs-ref", version]
    command += [*options, template, folder]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        sys.exit(f"Copier cannot copy {version}: {reason}")
    answers = folder / ".copier-answers.yml"
    answers.write_text(RECORDED.sub("", answers.read_text()))


if __name__ == "__main__":
    main()
