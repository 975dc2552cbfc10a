import pytest

from apps.release.imports import check_imports

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


@pytest.fixture
def folder(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "blog").mkdir()
    return tmp_path / "blog"


def test_missing_packages_are_errors(folder):
    (folder / "jobs.py").write_text(NEEDED)

    assert [error.msg for error in check_imports(None)] == [
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

    assert check_imports(None) == []


def test_missing_backend_of_the_settings_is_an_error(folder, settings):
    settings.CACHES = {"default": {"BACKEND": "missing.Cache"}}

    (error,) = check_imports(None)
    assert error.msg == "The settings name missing.Cache: No module named 'missing'."


def test_missing_context_processor_is_an_error(folder, settings):
    options = {"context_processors": ["missing.menu"]}
    settings.TEMPLATES = [
        {"BACKEND": settings.TEMPLATES[0]["BACKEND"], "OPTIONS": options}
    ]

    (error,) = check_imports(None)
    assert error.msg == "The settings name missing.menu: No module named 'missing'."


@pytest.mark.parametrize("name", ["Argon2PasswordHasher", "Missing"])
def test_hasher_without_its_package_is_an_error(folder, settings, name):
    settings.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}"]

    (error,) = check_imports(None)
    assert error.id == "release.E003"
    assert name in error.msg


def test_hasher_with_its_package_is_no_error(folder, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]

    assert check_imports(None) == []
