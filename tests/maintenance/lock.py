"""Write extensions/requirements.jinja and extensions/servers.jinja.

Each has every package once, behind the answers that need it. `make lock` runs this: it
renders the project for every combination of answers, compiles its pyproject.toml as the
project's own `make lock` does, and finds for each package the shortest guard that holds
for exactly those combinations that have it.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from copier import run_copy

from tests.support.options import (
    FULL,
    REDIS_STATES,
    TEMPLATE,
    VERSIONS,
    choices,
    combinations,
)

SOURCES = TEMPLATE / "extensions"
COMBINATIONS = (
    combinations("redis", *VERSIONS)
    | {
        # A target brings the same packages to each project, so the smallest and the largest do.
        f"{name}-{size}-bucket": answers | uses | {"deploy_target": "heroku"}
        for size, uses in (("none", REDIS_STATES["none"]), ("full", FULL))
        for name, answers in combinations(*VERSIONS).items()
    }
    | {
        # The tests in a browser bring the same ones, too.
        f"{name}-{size}-e2e": answers | uses | {"use_e2e": True}
        for size, uses in (("none", REDIS_STATES["none"]), ("full", FULL))
        for name, answers in combinations(*VERSIONS).items()
    }
)
# Each source with the files that include it, by their value of `dev`
FILES = {
    "requirements.jinja": {False: "requirements.txt", True: "requirements-dev.txt"},
    "servers.jinja": {False: "requirements-servers.txt"},
}
HEADING = (
    "{# Written by `make lock`: every pinned package of the generated projects. #}\n"
)


def main():
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        projects = [Path(folder, name) for name in COMBINATIONS]
        for project, answers in zip(projects, COMBINATIONS.values(), strict=True):
            run_copy(
                str(TEMPLATE),
                project,
                answers,
                vcs_ref="HEAD",
                defaults=True,
                quiet=True,
            )
        compiled = list(pool.map(compile_project, projects))
    for source, files in FILES.items():
        places = {}
        for answers, texts in zip(COMBINATIONS.values(), compiled, strict=True):
            for dev, name in files.items():
                for requirement in requirements(texts[name]):
                    places.setdefault(requirement, set()).add(point(dev, answers))
        (SOURCES / source).write_text(HEADING + "".join(guarded(places)))


def compile_project(project):
    """Return the compiled requirements of a project, by the name of their file."""
    arguments = " ".join(sys.argv[1:])
    subprocess.run(
        ["make", "--silent", "lock", f"ARGS={arguments}"], cwd=project, check=True
    )
    names = [name for files in FILES.values() for name in files.values()]
    return {name: (project / name).read_text() for name in names}


def requirements(text):
    """Return the requirements of a compiled file, each with its marker and hashes."""
    return re.findall(r"^[a-z].*\n(?: .*\n)*", text, re.MULTILINE)


def point(dev, answers):
    """Return the values of a file and its answers, with which guards are evaluated."""
    redis = answers["use_redis"]
    return tuple(
        {
            "dev": dev,
            "use_redis": redis,
            "has_worker": redis and answers["use_celery"],
            "has_channels": redis and answers["use_channels"],
            "has_bucket": "deploy_target" in answers,
            "use_e2e": "use_e2e" in answers,
            "is_django_lts": answers["django_version"] == "5.2",
            "python_version": answers["python_version"],
        }.items()
    )


def guards(points):
    """Yield Jinja conditions from short to long, with the points at which each is true."""
    names = ["dev", "use_redis", "has_worker", "has_channels", "has_bucket"]
    names += ["use_e2e", "is_django_lts"]
    atoms = names + [f"not {name}" for name in names]
    for version in choices("python_version"):
        atoms += [f'python_version == "{version}"', f'python_version != "{version}"']
    texts = itertools.chain(
        ["true"],
        atoms,
        (
            f"{a} {op} {b}"
            for a, b in itertools.combinations(atoms, 2)
            for op in ("and", "or")
        ),
        (
            text.format(a, b, c)
            for a, b, c in itertools.permutations(atoms, 3)
            for text in ("{} and ({} or {})", "{} and {} and {}", "{} or {} or {}")
        ),
        (" and ".join(names) for names in itertools.combinations(atoms, 4)),
    )
    for text in texts:
        code = compile(text.replace("true", "True"), "guard", "eval")
        yield text, {place for place in points if eval(code, {}, dict(place))}


def guarded(places):
    """Yield the requirements in order, each run with the same guard inside one `if`."""
    points = set().union(*places.values())
    known = {}
    for text, holds in guards(points):
        known.setdefault(frozenset(holds), text)
    ordered = sorted(places, key=lambda text: re.split("[=; ]", text)[0])
    for guard, group in itertools.groupby(
        ordered, lambda text: known[frozenset(places[text])]
    ):
        block = "".join(group)
        yield (
            block if guard == "true" else f"{{% if {guard} %}}\n{block}{{% endif %}}\n"
        )


if __name__ == "__main__":
    main()
