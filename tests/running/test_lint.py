"""`make lint` finds mistakes that no test of a project may reach."""

import re

import pytest

from tests.support.options import FULL, combinations

pytestmark = pytest.mark.slow

# An expression, and what mypy reports of it
MISTAKES = {
    "User.objects.filter(nickname='a')": "Cannot resolve keyword 'nickname'",
    "User.objects.exclude(user__pk=1)": "Cannot resolve keyword 'user'",
    "User.objects.get(date_joined=1.5)": "Incompatible type for lookup 'date_joined'",
    "User.objects.order_by('nickname')": "Cannot resolve keyword 'nickname'",
    "User.objects.values_list('nickname')": "Cannot resolve keyword 'nickname'",
    "User.objects.select_related('team')": 'Invalid field name "team"',
    "User.objects.only('nickname')": "User has no field named 'nickname'",
    "User.objects.create(nickname='a')": 'Unexpected attribute "nickname"',
    "User.objects.update(nickname='a')": "User has no field named 'nickname'",
    "User.objects.get_or_make()": 'has no attribute "get_or_make"',
    "User.objects.get(pk=1).nickname": '"User" has no attribute "nickname"',
    "User.objects.get(pk=1).email.uper()": '"str" has no attribute "uper"',
    "User.objects.get(pk=1).save(update_field=[])": 'keyword argument "update_field"',
    "User.objects.first().email": 'Item "None" of "User | None"',
    "settings.MISSING": "'Settings' object has no attribute 'MISSING'",
    "a_view(HttpRequest())": 'Incompatible return value type (got "str"',
    "missing_package": "Cannot find implementation or library stub for module",
}
# A statement of a view, and the rule that it breaks
INSECURE = {
    "os.system('ls ' + request.GET['name'])": "S605",
    "subprocess.run('ls ' + request.GET['name'], shell=True)": "S602",
    "subprocess.run([request.GET['name']])": "S603",
    "eval(request.GET['name'])": "S307",
    "cursor.execute(f\"SELECT * FROM it WHERE id = '{request.GET['id']}'\")": "S608",
    "User.objects.raw('SELECT * FROM it WHERE id = %s' % request.GET['id'])": "S608",
    "User.objects.extra(where=['id = ' + request.GET['id']])": "S610",
    "pickle.loads(request.body)": "S301",
    "yaml.load(request.body, yaml.Loader)": "S506",
    "mark_safe(request.GET['name'])": "S308",
    "urllib.request.urlopen(request.GET['url'])": "S310",
    "password = 'of-the-database'": "S105",
}
INSECURE_HEAD = """\
import os
import pickle
import subprocess
import urllib.request

import yaml
from django.db import connection
from django.utils.safestring import mark_safe

from apps.users.models import User


def a_view(request):
    cursor = connection.cursor()
"""
HEAD = """\
import missing_package
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.users.models import User


def a_view(request: HttpRequest) -> HttpResponse:
    return request.path


"""


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module(**FULL).installed()
    project.commit()
    return project


def test_fresh_project_is_clean_without_servers(project):
    done = project.make_ok("lint")

    assert "Success: no issues found" in done.stdout
    assert not (project / ".services").exists()
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_lint_finds_mistakes_in_models_and_settings(project):
    functions = [
        f"def function_{number}():\n    return {code}\n"
        for number, code in enumerate(MISTAKES)
    ]
    (project / "apps/users/wrong.py").write_text(HEAD + "\n\n".join(functions))
    project.run_ok(".venv/bin/black", "--quiet", "apps/users/wrong.py")

    done = project.make("lint")
    project.run_ok("git", "clean", "--force", "--quiet")

    assert ": lint] Error" in done.stdout
    found = re.findall(r"^apps/users/wrong.py:\d+: error: (.*)", done.stdout, re.M)
    missed = [it for it in MISTAKES.values() if not any(it in text for text in found)]
    assert missed == [], done.stdout


# Code that a test file's name would hide from the rules
@pytest.mark.parametrize("name", ["apps/users/views.py", "apps/users/testimonials.py"])
def test_lint_finds_insecure_code(project, name):
    lines = [f"    {statement}\n" for statement in INSECURE]
    (project / name).write_text(INSECURE_HEAD + "".join(lines))

    done = project.make("lint")
    project.run_ok("git", "clean", "--force", "--quiet")

    assert ": lint] Error" in done.stdout
    found = re.findall(r"^(S\d+) ", done.stdout, re.MULTILINE)
    assert sorted(found) == sorted(INSECURE.values()), done.stdout


def test_lint_permits_in_tests_what_only_input_makes_insecure(project):
    for folder in ("apps/users/tests", "tests"):
        (project / folder).mkdir(exist_ok=True)
    text = 'PASSWORD = "of-nobody"\n'
    names = ["apps/users/tests/users.py", "apps/users/tests.py", "tests/factories.py"]
    for name in [*names, "apps/users/test_it.py", "apps/users/conftest.py"]:
        (project / name).write_text(text)

    done = project.run(".venv/bin/ruff", "check", ".")
    project.run_ok("git", "clean", "--force", "--quiet", "-d")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "<<<<<<< before updating\n"),
        ("requirements-dev.txt", ">>>>>>> after updating\n"),
        ("templates/new.html", "<<<<<<< HEAD\n"),
        ("static/site.bin", "\0\n>>>>>>>>> theirs\n"),
        ("docs/notes.rej", "a\n"),
        ("static/site.css.orig", "a\n"),
    ],
)
@pytest.mark.parametrize("added", [False, True], ids=["new", "added"])
def test_lint_names_the_conflicts_that_a_merge_left(project, name, text, added):
    with (project / name).open("a") as file:
        file.write(text)
    if added:
        project.run_ok("git", "add", "--all")
    # git then refuses to search files that it does not track.
    project.run_ok("git", "config", "submodule.recurse", "true")

    done = project.make("lint")
    project.run_ok("git", "reset", "--hard", "--quiet")
    project.run_ok("git", "clean", "--force", "--quiet", "-d")

    assert "Resolve these conflicts" in done.stdout
    assert f"\n{name}" in done.stdout
    assert "Error" in done.stdout
    assert "ruff check" not in done.stdout


def test_lint_reads_similar_lines_of_other_files(project):
    """A heading underlined with the character of a marker is none."""
    text = "<<<<<<<<<\n=======\n  <<<<<<< HEAD\n>>> 1\n"
    (project / "docs/notes.md").write_text(text)
    (project / ".venv/notes.rej").write_text("")

    done = project.make("lint")
    project.run_ok("git", "clean", "--force", "--quiet", "-d")
    (project / ".venv/notes.rej").unlink()

    assert done.returncode == 0, done.stdout


def test_migrations_may_be_as_django_writes_them(project):
    migration = "apps/users/migrations/0002_new.py"
    (project / migration).write_text("dependencies = ['users']\n")

    done = project.make("lint")
    project.run_ok("git", "clean", "--force", "--quiet", "-d")

    assert done.returncode == 0, done.stdout


def test_equal_names_of_commands_and_tests_are_no_mistake(project):
    for app in ("users", "health"):
        for folder in ("management/commands", "tests"):
            path = project / f"apps/{app}/{folder}/test_same.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    done = project.make("lint")
    project.run_ok("git", "clean", "--force", "--quiet", "-d")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(it, id=name)
        for name, it in combinations("deploy_target", "use_docker").items()
    ],
)
def test_scripts_of_every_deployment_are_clean(rendered, tmp_path, answers):
    project = rendered(**answers).copy_to(tmp_path / "project").installed()

    project.make_ok("lint")
