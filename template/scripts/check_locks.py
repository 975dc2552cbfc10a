"""Check that the lock files have what pyproject.toml needs, of the same versions.

python -m scripts.check_locks [folder of the lock files]
"""

import importlib.metadata
import sys
import tomllib
from pathlib import Path

from packaging.dependency_groups import resolve_dependency_groups
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

PRODUCTION, DEVELOPMENT, SERVERS = "", "-dev", "-servers"


def main():
    """Print each difference. The exit code is 1 if there is one."""
    folder = Path(*sys.argv[1:])
    project = tomllib.loads(Path("pyproject.toml").read_text())
    # uv takes these versions, whatever any package requires.
    uv = project.get("tool", {}).get("uv", {})
    overridden = {key(Requirement(it)) for it in uv.get("override-dependencies", [])}
    dependencies = project["project"].get("dependencies", [])
    groups = project.get("dependency-groups", {})
    needs = {
        PRODUCTION: dependencies,
        DEVELOPMENT: [*dependencies, *resolve_dependency_groups(groups, "dev")],
        SERVERS: resolve_dependency_groups(groups, "servers"),
    }
    pins = {}
    found = []
    for kind, required in needs.items():
        name = f"requirements{kind}.txt"
        pins[kind] = read_pins(folder / name)
        for requirement in map(Requirement, required):
            for needed in unmet(requirement, pins[kind]):
                if key(needed) not in overridden:
                    pinned = pins[kind].get(key(needed), "none")
                    found.append(f"{name} needs {needed}, but has {pinned}.")
    for package, pin in pins[PRODUCTION].items():
        tested = pins[DEVELOPMENT].get(package, "none")
        if str(tested) != str(pin):
            found.append(
                f"requirements.txt has {pin}, but requirements-dev.txt has {tested}."
            )
    if found:
        found = list(dict.fromkeys(found))
        sys.exit("\n".join([*found, "Run make lock, and commit the lock files."]))


def read_pins(path):
    """Return the pins of a lock file that count on this machine, by package."""
    pins = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        try:
            pin = Requirement(line.rstrip("\\ "))
        except InvalidRequirement:
            continue  # It is a hash, an option or a comment.
        if is_here(pin):
            pin.marker = None
            pins[key(pin)] = pin
    return pins


def unmet(requirement, pins):
    """Yield what no pin meets: the requirement, or what one of its extras requires."""
    if not is_here(requirement):
        return
    pin = pins.get(key(requirement))
    if not pin or not pin.url and not meets(pin, requirement):
        yield requirement
        return
    for extra in requirement.extras:
        for needed in map(Requirement, requires(pin.name)):
            if needed.marker and needed.marker.evaluate({"extra": extra}):
                needed.marker = None
                yield from unmet(needed, pins)


def meets(pin, requirement):
    return any(
        requirement.specifier.contains(it.version, prereleases=True)
        for it in pin.specifier
    )


def requires(name):
    """Return what an installed package requires; of others, that is unknown."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def is_here(requirement):
    return not requirement.marker or requirement.marker.evaluate()


def key(requirement):
    return canonicalize_name(requirement.name)


if __name__ == "__main__":
    main()
