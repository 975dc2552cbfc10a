"""Run a tool on files, and return what it reports as findings."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.support.project import clean_environment

TOOLS = Path(sys.executable).parent


def schema(name, *arguments):
    """Return where files break one of the schemas that come with check-jsonschema."""
    options = ["--builtin-schema", name, "--output-format", "json"]
    result = run("check-jsonschema", *options, *arguments)
    if result.returncode not in {0, 1} or not result.stdout:
        return lines(result)
    report = json.loads(result.stdout)
    return [
        f"{error['filename']}: {error.get('best_deep_match', error)['message']}"
        for error in report.get("parse_errors", []) + report.get("errors", [])
    ]


def shellcheck(scripts, *paths):
    """Return shellcheck's findings in the scripts that a function yields for a place."""
    findings = []
    places = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, document in documents(paths, findings):
            known = len(places)
            for place, node in walk(document):
                for script in scripts(place, node):
                    file = Path(folder, str(len(places)))
                    # Both providers run Bash with these options.
                    file.write_text(f"set -eo pipefail\n{script}\n")
                    places[str(file)] = f"{path}: {'.'.join(map(str, place))}"
            if len(places) == known:
                findings.append(f"{path}: no script")
        options = ["--norc", "--shell=bash", "--format=json"]
        result = run("shellcheck", *options, *places) if places else None
    if not result:
        return findings
    if result.returncode not in {0, 1}:
        return findings + lines(result)
    return findings + [
        f"{places[found['file']]}: {found['message']} [SC{found['code']}]"
        for found in json.loads(result.stdout)
    ]


# It is written in C where the machine has libyaml.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(SAFE_LOADER):
    """Reads GitLab's `!reference` tags as None: their targets are read where they are."""


Loader.add_constructor("!reference", lambda loader, node: None)


def documents(paths, findings):
    """Yield each path with its parsed YAML; an empty one is a finding."""
    for path in paths:
        try:
            document = yaml.load(path.read_text(), Loader)
        except (OSError, yaml.YAMLError) as error:
            findings.append(f"{path}: {error}")
            continue
        if isinstance(document, dict):
            yield path, document
        else:
            findings.append(f"{path}: no mapping")


def walk(node, place=()):
    """Yield each value inside a document, with the keys that lead to it."""
    inside = enumerate(node) if isinstance(node, list) else ()
    for key, value in node.items() if isinstance(node, dict) else inside:
        yield (*place, key), value
        yield from walk(value, (*place, key))


def run(tool, *arguments, cwd=None, **variables):
    """Run a tool of the test environment, without settings that could change its result."""
    return subprocess.run(
        [TOOLS / tool, *arguments],
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


def lines(result):
    """Return what a tool printed; one that fails in silence is a finding as well."""
    if result.returncode == 0:
        return []
    printed = (result.stdout.strip() or result.stderr.strip()).splitlines()
    return printed or [f"{result.args[0]}: exit code {result.returncode}"]
