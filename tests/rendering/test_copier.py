"""The template in the hands of Copier's own command line: nothing here is trusted.

pytest-copie trusts every template, so it cannot show that this one needs no trust.
"""

import shutil
import sys

import pytest
import yaml

from tests.support.project import Project

COPIER = (sys.executable, "-m", "copier")
NAME = "{{ 7*7 }} Shop"  # What a second rendering would change.


@pytest.fixture
def repository(template, tmp_path):
    """Return the template as a git repository with one release, v1.0.0."""
    repository = Project(tmp_path / "template")
    shutil.copytree(template, repository.path)
    release(repository, "v1.0.0")
    return repository


@pytest.fixture
def copied(repository, tmp_path):
    """Return a committed project, copied from the repository without --trust."""
    copied = Project(tmp_path / "project")
    done = copy(repository, copied.path, "-d", f"project_name={NAME}")
    assert done.returncode == 0, done.stdout
    copied.commit()
    return copied


def release(repository, version):
    repository.commit(version)
    repository.run_ok("git", "tag", version)


def copy(repository, destination, *options, scheme=""):
    # Not the settings of whoever runs the tests: they may trust a template.
    return repository.run(
        *COPIER,
        "copy",
        "--defaults",
        *options,
        f"{scheme}{repository.path}",
        str(destination),
        COPIER_SETTINGS_PATH="/dev/null",
    )


def update(project, *options):
    project.run_ok(
        *COPIER, "update", "--defaults", *options, COPIER_SETTINGS_PATH="/dev/null"
    )


def answers(project):
    return yaml.safe_load(project.read(".copier-answers.yml"))


def test_a_copy_says_what_to_do_next(repository, tmp_path):
    done = copy(repository, tmp_path / "project", "-d", f"project_name={NAME}")
    assert done.returncode == 0, done.stdout
    assert f"{NAME} is ready. Next:" in done.stdout
    assert "make ci " in done.stdout
    assert "make dev " in done.stdout


def test_a_copy_from_an_address_records_address_and_release(repository, tmp_path):
    done = copy(repository, tmp_path / "project", scheme="git+file://")
    assert done.returncode == 0, done.stdout
    recorded = answers(Project(tmp_path / "project"))
    assert recorded["_src_path"] == f"git+file://{repository.path}"
    assert recorded["_commit"] == "v1.0.0"


def test_two_copies_are_the_same_to_the_byte(repository, copied, tmp_path):
    again = Project(tmp_path / "again")
    copy(repository, again.path, "-d", f"project_name={NAME}")
    assert again.files()
    for name in again.files():
        assert (again / name).read_bytes() == (copied / name).read_bytes(), name


def test_a_refused_answer_ends_in_its_sentence_and_writes_nothing(repository, tmp_path):
    done = copy(repository, tmp_path / "project", "-d", "project_slug=class")
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith(
        "class is taken by Python, Django or another tool; choose another word."
    )
    assert not (tmp_path / "project").exists()


def test_an_update_brings_the_template_and_keeps_the_users_work(repository, copied):
    copied.edit(".editorconfig", "root = true", "root = true  # Ours.")
    copied.commit("Edit")
    with (repository / "template/README.md.jinja").open("a") as readme:
        readme.write("\nNew in {{ project_name }}.\n")
    release(repository, "v1.1.0")
    update(copied)
    assert answers(copied)["_commit"] == "v1.1.0"
    assert copied.read("README.md").endswith(f"\nNew in {NAME}.\n")
    assert "root = true  # Ours." in copied.read(".editorconfig")


def test_redis_comes_and_goes_with_an_update(copied):
    update(copied, "-d", "use_redis=true")
    assert (copied / "tests/test_cache.py").exists()
    copied.commit("Use Redis")
    update(copied, "-d", "use_redis=false")
    assert not (copied / "tests/test_cache.py").exists()
    copied.run("git", "add", "--all")
    assert copied.run("git", "diff", "HEAD~1").stdout == ""


def test_update_replaces_one_target_by_another(copied):
    begin = copied.run("git", "rev-parse", "HEAD").stdout.strip()
    update(copied, "-d", "deploy_target=heroku")
    assert {"Procfile", "deploy/heroku.py"} <= copied.files()
    copied.commit("Deploy to Heroku")
    update(copied, "-d", "deploy_target=render")
    assert {"render.yaml", "deploy/render.py"} <= copied.files()
    assert not {"Procfile", "deploy/heroku.py"} & copied.files()
    copied.commit("Deploy to Render")
    update(copied, "-d", "deploy_target=none")
    copied.run("git", "add", "--all")
    assert copied.run("git", "diff", begin).stdout == ""
