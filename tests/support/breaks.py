"""What breaks a project, for the tests that run its gates here and in the pipelines."""

MIGRATION = """\
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [{}]
"""


WRONG_FIELD = """\
from apps.users.models import User


def find(nickname):
    return User.objects.filter(nickname=nickname)
"""


def add_file(name, text):
    return lambda project: (project / name).write_text(text)


def add_line(name, text):
    def add_line(project):
        with (project / name).open("a") as file:
            file.write(text)

    return add_line


def add_two_leaves(project):
    for name in ("0002_one", "0002_two"):
        add_file(f"apps/users/migrations/{name}.py", MIGRATION.format(""))(project)


# What breaks a project with one short test and a coverage threshold of 0; the gate that
# fails, and what it prints.
BREAKS = {
    "bad format": (
        add_file("apps/users/ugly.py", "x = {  'a':1 }\n"),
        ("lint", "would reformat"),
    ),
    "a lint error": (
        add_file("apps/users/unused.py", "import os\n"),
        ("lint", "F401"),
    ),
    "a wrong field in a query": (
        add_file("apps/users/wrong.py", WRONG_FIELD),
        ("lint", "Cannot resolve keyword 'nickname' into field"),
    ),
    "an insecure production setting": (
        lambda project: project.edit(
            "config/settings/production.py",
            "SESSION_COOKIE_SECURE = True",
            "SESSION_COOKIE_SECURE = False",
        ),
        ("check", "security.W012"),
    ),
    "a development package in production code": (
        add_file("apps/users/report.py", "import requests\n\nget = requests.get\n"),
        ("check", "apps/users/report.py:1 imports requests, which is not installed"),
    ),
    "a model change without migration": (
        add_line(
            "apps/users/models.py",
            '\n    class Meta:\n        verbose_name = "member"\n',
        ),
        ("check", "Change Meta options on user"),
    ),
    "two leaf migrations": (add_two_leaves, ("check", "makemigrations --merge")),
    "a broken migration": (
        add_file(
            "apps/users/migrations/0002_one.py",
            MIGRATION.format('migrations.RunSQL("SELECT * FROM nowhere")'),
        ),
        ("check-migrations", 'relation "nowhere" does not exist'),
    ),
    "a failing test": (
        add_file(
            "tests/test_wrong.py", "def test_wrong():\n    assert sum([1]) == 2\n"
        ),
        ("test", "1 failed"),
    ),
    "coverage below the threshold": (
        lambda project: project.edit(
            "pyproject.toml", "fail_under = 0", "fail_under = 100"
        ),
        ("test", "Required test coverage of 100.0% not reached"),
    ),
}
