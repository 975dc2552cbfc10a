"""`make startapp` makes an app that `make ci` accepts, or changes nothing."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(render_for_module):
    return render_for_module().installed()


@pytest.fixture
def unchanged(project):
    """Check that the test leaves the project's apps and settings as they are."""

    def state():
        names = sorted(path.name for path in (project / "apps").iterdir())
        return names, project.read("config/settings/base.py")

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "make startapp NAME=blog"),
        ("my-blog", "make startapp NAME=blog"),
        ("my blog", "make startapp NAME=blog"),
        ("../blog", "make startapp NAME=blog"),
        ("class", "make startapp NAME=blog"),
        ("users", "already has an app users"),
        ("auth", "already has an app auth"),
        ("json", "conflicts with the name of an existing Python module"),
    ],
)
def test_impossible_name_is_refused(project, unchanged, name, reason):
    done = project.make("startapp", f"NAME={name}")

    assert done.returncode != 0
    assert reason in done.stdout
    assert "Traceback" not in done.stdout


def test_new_app_passes_make_ci(project):
    # Git leaves this of an app of another branch.
    (project / "apps/blog/migrations/__pycache__").mkdir(parents=True)
    (project / "apps/blog/migrations/__pycache__/0001_initial.pyc").touch()
    project.make_ok("startapp", "NAME=blog")

    project.make_ok("ci", "VERBOSE=1")

    assert '    "apps.blog",\n' in project.read("config/settings/base.py")
    tested = project.make_ok("test", "ARGS=--no-cov apps/blog")
    assert "1 passed" in tested.stdout
