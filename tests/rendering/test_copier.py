"""Copier's own command line makes and updates projects, without --trust.

pytest-copie trusts every template, so it cannot show that this one needs no trust.
"""

import re
import shutil
import sys

import copier
import pytest
import yaml

from tests.support.options import choices
from tests.support.project import Project
from tests.support.rendering import quick_copier

COPIER = (sys.executable, "-m", "copier")
NAME = "{{ 7*7 }} Shop"  # A second rendering would change it.


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
    copy(repository, copied.path, "-d", f"project_name={NAME}")
    copied.commit()
    return copied


def release(repository, version):
    repository.commit(version)
    repository.run_ok("git", "tag", version)


def copy(repository, destination, *options, scheme="", refused=False):
    """Run `copier copy`, which has to succeed unless it is refused; return what `run` does."""
    run = repository.run if refused else repository.run_ok
    # The settings of this user may trust the template.
    return run(
        *COPIER,
        "copy",
        "--defaults",
        *options,
        f"{scheme}{repository.path}",
        str(destination),
        COPIER_SETTINGS_PATH="/dev/null",
    )


def update(project, *options):
    """Run `copier update`; return what `run` does."""
    return project.run_ok(
        *COPIER, "update", "--defaults", *options, COPIER_SETTINGS_PATH="/dev/null"
    )


def answers(project):
    return yaml.safe_load(project.read(".copier-answers.yml"))


def closing_message(repository, *options):
    """Return the lines that Copier prints once it has made `../project`."""
    done = copy(repository, "../project", "-d", f"project_name={NAME}", *options)
    _, begin, message = done.stdout.partition(f"{NAME} is ready. Next:\n")
    assert begin, done.stdout
    return message.splitlines()


@pytest.mark.parametrize("target", ["none", "heroku"])
@pytest.mark.parametrize("provider", choices("ci_provider"))
def test_closing_message_names_existing_pages(
    template, tmp_path, monkeypatch, capsys, provider, target
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = {"project_name": NAME, "ci_provider": provider, "deploy_target": target}
    with quick_copier():
        copier.run_copy(str(template), "../project", data, defaults=True)

    _, begin, message = capsys.readouterr().err.partition(f"{NAME} is ready. Next:\n")
    assert begin
    named = set(re.findall(r"docs/\w+\.md", message))
    project = Project(tmp_path / "project")
    assert named == {"docs/deployment.md", "docs/pipeline.md"} & project.files()


@pytest.mark.slow
def test_commands_of_the_closing_message_work(repository, tmp_path):
    message = closing_message(repository, "-d", "coverage_threshold=0")
    lines = [line.strip() for line in message if line.startswith("  ")]
    commands = [line for line in lines if not line.startswith("make dev ")]
    remote = next(line.split()[-1] for line in commands if "remote add" in line)
    repository.run_ok("git", "init", "--bare", f"{tmp_path}/remote.git")
    project = Project(tmp_path / "project").with_one_short_test()

    done = repository.run_ok(
        *("bash", "-euxc", "\n".join(commands)),
        GIT_CONFIG_COUNT="3",
        GIT_CONFIG_KEY_0=f"url.{tmp_path}/remote.git.insteadOf",
        GIT_CONFIG_VALUE_0=remote,
        GIT_CONFIG_KEY_1="user.name",
        GIT_CONFIG_VALUE_1="Test",
        GIT_CONFIG_KEY_2="user.email",
        GIT_CONFIG_VALUE_2="test@example.com",
    )

    assert {"+ cd ../project", "+ make ci"} <= set(done.stdout.splitlines())
    pushed = Project(tmp_path / "remote.git").run("git", "rev-parse", "main")
    assert pushed.stdout.strip() == project.head()


def test_copy_from_a_url_records_url_and_release(repository, tmp_path):
    copy(repository, tmp_path / "project", scheme="git+file://")
    recorded = answers(Project(tmp_path / "project"))
    assert recorded["_src_path"] == f"git+file://{repository.path}"
    assert recorded["_commit"] == "v1.0.0"


def test_two_copies_are_identical(repository, copied, tmp_path):
    again = Project(tmp_path / "again")
    copy(repository, again.path, "-d", f"project_name={NAME}")
    assert again.files()
    for name in again.files():
        assert (again / name).read_bytes() == (copied / name).read_bytes(), name


def test_refused_answer_prints_its_reason_and_writes_nothing(repository, tmp_path):
    slug = "project_slug=class"
    done = copy(repository, tmp_path / "project", "-d", slug, refused=True)
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith("Reserved name; choose another.")
    assert not (tmp_path / "project").exists()


def test_another_django_project_stays_as_it_is(repository, tmp_path):
    project = Project(tmp_path / "project")
    project.path.mkdir()
    for name in ("README.md", "manage.py"):
        (project / name).write_text("Theirs")
    for options in ([], ["--overwrite"]):
        done = copy(repository, project.path, *options, refused=True)
        assert done.returncode == 1
        assert done.stdout.rstrip().endswith("the template cannot adopt a project.")
        assert project.files() == {"README.md", "manage.py"}
        assert project.read("README.md") == "Theirs"


def test_files_that_no_one_is_asked_about_stay_as_they_are(
    repository, rendered, tmp_path
):
    project = Project(tmp_path / "a [new] folder")
    deepest = max(rendered().files(), key=lambda name: name.count("/"))
    names = [".github/workflows/ci.yml", ".gitignore", deepest, "README.md"]
    for name in ("NOTES.md", *names):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("Theirs")
    files = project.files()
    options = ("-d", f"project_name={NAME}")
    done = copy(repository, project.path, *options, refused=True)
    found = f"Files are in the way: {', '.join(names)}. Move them, or add --overwrite."
    assert (done.returncode, done.stdout.rstrip().endswith(found)) == (1, True)
    assert project.files() == files

    copy(repository, project.path, *(f"--skip={name}" for name in names))
    assert {project.read(name) for name in names} == {"Theirs"}
    for name in (".copier-answers.yml", "manage.py"):
        (project / name).unlink()
    copy(repository, project.path, "--overwrite")
    assert project.read("NOTES.md") == "Theirs"
    assert "Theirs" not in {project.read(name) for name in names}


def test_copy_over_a_project_of_the_template_writes_its_files_again(repository, copied):
    (copied / "README.md").write_text("Ours")
    copy(repository, copied.path, "--overwrite")
    assert copied.run("git", "status", "--porcelain").stdout == ""


def test_update_applies_the_template_and_keeps_own_edits(repository, copied):
    copied.edit(".editorconfig", "root = true", "root = true  # Ours.")
    lock = "asgiref==1.0\n"
    (copied / "requirements.txt").write_text(lock)
    (copied / "requirements-servers.txt").unlink()
    copied.commit("Edit")
    with (repository / "template/README.md.jinja").open("a") as readme:
        readme.write("\nNew in {{ project_name }}.\n")
    repository.edit("extensions/requirements.jinja", "asgiref==", "asgiref==2.")
    release(repository, "v1.1.0")
    done = update(copied)
    assert answers(copied)["_commit"] == "v1.1.0"
    # make lock compiles the lock files, of the packages of both.
    assert copied.read("requirements.txt") == lock
    assert not copied.has("requirements-servers.txt")
    assert "asgiref==2." not in copied.read("requirements-dev.txt")
    assert copied.read("README.md").endswith(f"\nNew in {NAME}.\n")
    assert "root = true  # Ours." in copied.read(".editorconfig")
    _, begin, message = done.stdout.partition(f"{NAME} has the new version. Next:\n")
    assert begin
    assert max(map(len, message.splitlines())) <= 80
    assert "git diff --check " in message


@pytest.mark.slow
@pytest.mark.seconds(20)
def test_update_adds_and_removes_redis(copied):
    update(copied, "-d", "use_redis=true")
    assert (copied / "tests/test_cache.py").exists()
    assert "redis==" not in copied.read("requirements.txt")
    copied.commit("Use Redis")
    update(copied, "-d", "use_redis=false")
    assert not (copied / "tests/test_cache.py").exists()
    copied.run("git", "add", "--all")
    assert copied.run("git", "diff", "HEAD~1").stdout == ""


@pytest.mark.slow
@pytest.mark.seconds(20)
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
