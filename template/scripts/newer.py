"""List the packages that are newer in one lock file than in another.

python -m scripts.newer requirements-dev.txt .cache/newest/requirements-dev.txt
"""

import re
import sys
from pathlib import Path

PACKAGE = re.compile(r"^([^\s=]+)==(\S+)", re.MULTILINE)


def main():
    """Print each version of the second file that the first one does not pin."""
    pinned, newest = (PACKAGE.findall(Path(path).read_text()) for path in sys.argv[1:])
    if not newest:
        sys.exit(f"{sys.argv[2]} pins no package.")
    changed = [package for package in newest if package not in pinned]
    if not changed:
        print("The pinned versions are the newest that pyproject.toml allows.")
        return
    print("Newer than the pinned versions:")
    for name, version in changed:
        print(f"  {name} {dict(pinned).get(name, '(none)')} -> {version}")


if __name__ == "__main__":
    main()
