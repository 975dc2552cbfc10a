"""Report slow tests and squashable migrations. Informational: always exits 0."""

import re
from pathlib import Path
from xml.etree import ElementTree

MIGRATIONS = 30  # Apps with more are worth squashing.
TESTS = 10  # The number of slow tests in the report.
NO_REPORT = (OSError, ElementTree.ParseError)


def main():
    # Not in hidden folders, which have the packages
    for folder in sorted(Path().glob("[!.]*/**/migrations")):
        advise_to_squash(folder.parent.name, folder)
    try:
        report = ElementTree.parse("reports/junit.xml")
    except NO_REPORT:
        print("Run make test first to see the slowest tests.")
        return
    print("The slowest tests of the last make test:")
    tests = sorted(report.iter("testcase"), key=seconds, reverse=True)
    for test in tests[:TESTS]:
        print(f"{seconds(test):8.3f} s  {test.get('classname')}.{test.get('name')}")


def advise_to_squash(app, folder):
    names = sorted(
        path.stem for path in folder.glob("*.py") if re.match(r"\d+_", path.stem)
    )
    if len(names) > MIGRATIONS:
        print(f"{app} has {len(names)} migrations, which every test run applies. Try:")
        print(f'  make manage ARGS="squashmigrations {app} {names[-1]}"')


def seconds(test):
    return float(test.get("time", 0))


if __name__ == "__main__":
    main()
