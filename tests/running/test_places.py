"""Tests, code and migrations count wherever Django's and pytest's users put them."""

import pytest

pytestmark = pytest.mark.slow

FAILING = "from django.test import SimpleTestCase\n\n\nclass ItTest(SimpleTestCase):\n"
FAILING += "    def test_it(self):\n        self.fail()\n"
# Some names are there twice, in folders that are no packages.
TESTS = [
    "apps/blog/tests.py",
    "apps/blog/test_views.py",
    "apps/users/tests/test_it.py",
    "apps/health/tests/test_it.py",
    "apps/health/tests/unit/checks_test.py",
    "blog/tests.py",
    "blog/tests/test_models.py",
    "config/test_urls.py",
    "tests/blog/test_models.py",
    "test_project.py",
]
CODE = [
    "apps/blog/views.py",
    "apps/blog/management/commands/work.py",
    "apps/users/management/commands/work.py",
    "blog/views.py",
    "blog/templatetags/blog.py",
    "apps/health/checks/search.py",
    "config/jobs.py",
    "middleware.py",
]
NO_PRODUCTION_CODE = ["scripts/work.py", "tests/factories.py", "apps/users/conftest.py"]
MODELS = """\
from django.db import models


class Post(models.Model):
    title = models.CharField(max_length=50)
"""
MIGRATIONS = {
    "0001_initial": """
    initial = True
    operations = [
        migrations.CreateModel(
            "Post",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=50)),
                ("body", models.TextField()),
            ],
        )
    ]
""",
    "0002_drop": """
    dependencies = [("blog", "0001_initial")]
    operations = [migrations.RemoveField("Post", "body")]
""",
}


def write(project, name, text):
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def project(render):
    return render(coverage_threshold=0).with_one_short_test().installed()


def test_tests_in_any_place_run(project):
    for app in ("apps/blog", "blog"):
        write(project, f"{app}/__init__.py", "")
    for name in TESTS:
        write(project, name, FAILING)

    done = project.make("test", ARGS="--no-cov -rf")

    missed = [name for name in TESTS if f"FAILED {name}::" not in done.stdout]
    assert missed == [], done.stdout
    assert f"{len(TESTS)} failed, 1 passed" in done.stdout


def test_code_in_any_place_is_measured(project):
    for name in CODE + NO_PRODUCTION_CODE:
        write(project, name, "print(1)\n")

    done = project.make_ok("test")

    measured = {line.partition(" ")[0] for line in done.stdout.splitlines()}
    assert measured >= set(CODE), done.stdout
    assert measured.isdisjoint(NO_PRODUCTION_CODE), done.stdout


def test_migrations_of_an_app_at_the_root_are_judged(project):
    write(project, "blog/__init__.py", "")
    write(project, "blog/models.py", MODELS)
    write(project, "blog/migrations/__init__.py", "")
    for name, body in MIGRATIONS.items():
        head = "from django.db import migrations, models\n\n\n"
        head += "class Migration(migrations.Migration):"
        write(project, f"blog/migrations/{name}.py", head + body)
    project.edit(
        "config/settings/base.py",
        '    "apps.users",\n',
        '    "apps.users",\n    "blog",\n',
    )

    done = project.make_ok("check-migrations")

    assert (
        "blog/migrations/0002_drop.py: warning: blog_post.body is gone" in done.stdout
    )
