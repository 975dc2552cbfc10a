"""Production code that imports a package of development fails `make check` and the image."""

import re

import pytest

from tests.support.options import FULL

pytestmark = pytest.mark.slow

# pip-audit brings it.
IMPORT = "import requests\n\n\ndef get(url):\n    return requests.get(url)\n"
IN_A_FUNCTION = "def get(url):\n    import requests\n\n    return requests.get(url)\n"
CODE = {
    "apps/blog/consumers.py": IMPORT,
    "apps/blog/management/commands/work.py": IMPORT,
    "apps/blog/middleware.py": IMPORT,
    "apps/blog/tasks.py": IN_A_FUNCTION,
    "apps/users/testimonials.py": IMPORT,
    "blog/views.py": IN_A_FUNCTION,
    "config/routers.py": IMPORT,
    "helpers.py": IMPORT,
}
NO_PRODUCTION_CODE = ["apps/users/tests.py", "tests/test_it.py", "scripts/work.py"]


@pytest.fixture
def project(render):
    return render(**FULL, use_docker=True).installed()


def write(project, name, text):
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build(project):
    """Run what the image's build runs after it has copied the code; return the outcome."""
    (command,) = re.findall(
        r"^RUN (export (?:.*\\\n)*.*)", project.read("Dockerfile"), re.M
    )
    path = project.path / ".venv/production/bin"
    # The image has no .env, which means development here.
    return project.run(
        "sh",
        "-euc",
        f"export PATH={path}:$PATH\n{command}",
        DJANGO_SETTINGS_MODULE="config.settings.production",
    )


def test_check_and_build_find_packages_that_production_lacks(project):
    assert build(project).returncode == 0
    for name in NO_PRODUCTION_CODE:
        write(project, name, IMPORT)
    assert build(project).returncode == 0
    for name, text in CODE.items():
        write(project, name, text)

    for done in (project.make("check"), build(project)):
        assert done.returncode != 0
        found = re.findall(r"^(.*):\d+ imports requests, which", done.stdout, re.M)
        assert set(found) == CODE.keys(), done.stdout


@pytest.mark.parametrize("name", ["apps/users/models.py", "config/urls.py"])
def test_check_and_build_name_the_package_that_a_start_lacks(project, name):
    write(project, name, f"import requests\n{project.read(name)}")

    for done in (project.make("check"), build(project)):
        assert done.returncode != 0
        assert f"{name}:1 imports requests, which is not installed." in done.stdout
        assert "dependencies in pyproject.toml, then run make lock." in done.stdout
        assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("base", "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "requests",'),
        ("base", "MIDDLEWARE = [", 'MIDDLEWARE = [\n    "requests.Middleware",'),
        ("production", "whitenoise.storage", "requests"),
    ],
    ids=["app", "middleware", "storage"],
)
def test_check_finds_packages_that_only_the_settings_name(project, module, old, new):
    project.edit(f"config/settings/{module}.py", old, new)

    done = project.make("check")

    assert done.returncode != 0
    assert "No module named 'requests'" in done.stdout, done.stdout
