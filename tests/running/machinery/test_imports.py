import runpy

import pytest

from apps.release import imports
from apps.release.imports import check_backends, find_missing

NEEDED = """\
import missing.part
def function():
    from missing import name
    if name:
        import django, missing
from . import missing
"""
NOT_NEEDED = """\
if TYPE_CHECKING:
    import missing
if settings.DEBUG:
    import missing
else:
    import django
try:
    import missing
except ImportError:
    import django
with suppress(ModuleNotFoundError):
    import missing
if sys.platform == "win32":
    import missing
if installed and find_spec("missing"):
    import missing
"""


NEEDS_DJANGO = (
    "from django.core.exceptions import AppRegistryNotReady as Error\nraise Error"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "blog").mkdir()
    return tmp_path / "blog"


def test_missing_packages_are_errors(folder):
    (folder / "jobs.py").write_text(NEEDED)

    assert list(find_missing(folder.parent)) == [
        "blog/jobs.py:1 imports missing.part, which is not installed.",
        "blog/jobs.py:3 imports missing, which is not installed.",
        "blog/jobs.py:5 imports missing, which is not installed.",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("views.py", NOT_NEEDED), ("tests.py", NEEDED), ("../noxfile.py", NEEDED)],
)
def test_packages_that_production_does_not_need_may_be_missing(folder, name, text):
    (folder / name).write_text(text)

    assert list(find_missing(folder.parent)) == []


def run():
    runpy.run_path(imports.__file__, run_name="__main__")


def test_command_names_missing_packages_and_what_to_do(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    run()
    (folder / "jobs.py").write_text("import missing")

    with pytest.raises(SystemExit, match=r"imports missing(.*)\nAdd its package"):
        run()


def test_package_that_django_has_not_set_up_is_installed(folder, monkeypatch):
    (folder / "__init__.py").write_text(NEEDS_DJANGO)
    (folder / "views.py").write_text("import blog.models")
    monkeypatch.syspath_prepend(folder.parent)

    assert list(find_missing(folder.parent)) == []


def test_missing_backend_of_the_settings_is_an_error(settings):
    settings.CACHES = {"default": {"BACKEND": "missing.Cache"}}

    (error,) = check_backends(None)
    assert error.msg == "The settings name missing.Cache: No module named 'missing'."


def test_missing_context_processor_is_an_error(settings):
    options = {"context_processors": ["missing.menu"]}
    settings.TEMPLATES = [
        {"BACKEND": settings.TEMPLATES[0]["BACKEND"], "OPTIONS": options}
    ]

    (error,) = check_backends(None)
    assert error.msg == "The settings name missing.menu: No module named 'missing'."


@pytest.mark.parametrize("name", ["Argon2PasswordHasher", "Missing"])
def test_hasher_without_its_package_is_an_error(settings, name):
    settings.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}"]

    (error,) = check_backends(None)
    assert error.id == "release.E002"
    assert name in error.msg


def test_hasher_with_its_package_is_no_error(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]

    assert check_backends(None) == []
