"""The conversation in a real terminal of 80 columns."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.options import QUESTIONS
from tests.support.project import Project
from tests.support.session import conversation
from tests.support.session import recorded as recorded_session
from tests.support.terminal import CLEAR, ENTER, Terminal

ALWAYS_ASKED = [name for name in QUESTIONS if "when" not in QUESTIONS[name]]
REDIS_QUESTIONS = {"use_celery", "use_channels"}


@pytest.fixture
def terminal():
    """Return a function that runs a command in a terminal until the test ends."""
    opened = []

    def terminal(*command, **options):
        opened.append(Terminal(*command, **options))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


@pytest.fixture
def copying(terminal, template, tmp_path):
    """Return a terminal in which Copier asks its first question."""
    copy = (sys.executable, "-m", "copier", "copy", str(template), "my-project")
    return terminal(*copy, cwd=tmp_path)


@pytest.fixture
def checkout(template, tmp_path):
    """Return a clean clone of the template, as a user gets it."""
    origin = Project(tmp_path / "origin")
    shutil.copytree(template, origin.path)
    origin.commit()
    origin.run_ok("git", "clone", "--quiet", ".", "../slipway")
    return Project(tmp_path / "slipway")


def path_without(program):
    """Return PATH without the folders that hold the program."""
    folders = os.environ["PATH"].split(os.pathsep)
    kept = [folder for folder in folders if not (Path(folder) / program).exists()]
    return os.pathsep.join(kept)


def test_enter_accepts_every_default(copying, rendered, tmp_path):
    copying.answer()
    assert copying.asked == ALWAYS_ASKED
    shown = conversation(copying.printed.getvalue())
    assert shown == recorded_session("Make a project"), "run make session"
    project = Project(tmp_path / "my-project")
    assert project.files() == rendered().files()
    # The answers also say which copy of the template they are for.
    for name in project.files() - {".copier-answers.yml"}:
        assert project.read(name) == rendered().read(name), name


def test_refused_slug_can_be_corrected(copying, tmp_path):
    assert copying.wait_for_question() == "project_name"
    copying.child.send(CLEAR + "Corner Shop" + ENTER)
    assert copying.wait_for_question() == "project_slug"
    copying.child.expect_exact("corner_shop")
    copying.child.send(CLEAR + "class" + ENTER)
    copying.child.expect_exact("Reserved name; choose another.")
    copying.child.send(CLEAR + "shop" + ENTER)
    copying.answer()
    project = Project(tmp_path / "my-project")
    assert project.toml("pyproject.toml")["project"]["name"] == "shop"
    assert project.read("README.md").startswith("# Corner Shop\n")


def test_yes_to_redis_asks_about_celery_and_channels(copying, tmp_path):
    copying.answer(use_redis="y", use_celery="y", use_channels="n")
    assert set(copying.asked) == {*ALWAYS_ASKED, *REDIS_QUESTIONS}
    assert (tmp_path / "my-project/config/celery.py").exists()
    assert not (tmp_path / "my-project/config/asgi.py").exists()


def test_no_to_redis_skips_celery_and_channels(copying):
    while copying.wait_for_question() != "use_redis":
        copying.child.send(ENTER)
    copying.child.send("n")
    assert copying.wait_for_question() not in REDIS_QUESTIONS


def test_prompt_refuses_a_recorded_target_that_lost_its_image(
    terminal, template, tmp_path
):
    project = Project(tmp_path / "project")
    project.path.mkdir()
    (project / ".copier-answers.yml").write_text("use_docker: true\ndeploy_target: fly")
    command = (sys.executable, "-m", "copier", "copy", str(template), "project")
    copying = terminal(*command, cwd=tmp_path)
    while copying.wait_for_question() != "use_docker":
        copying.child.send(ENTER)
    copying.child.send("n")
    while copying.wait_for_question():
        copying.child.send(ENTER)

    assert "needs Docker: run this again" in copying.child.before
    assert copying.process.wait(30) == 1
    assert project.files() == {".copier-answers.yml"}


def test_copy_keeps_a_file_inside_another_repository(
    terminal, template, rendered, tmp_path
):
    outer = Project(tmp_path / "outer")
    folder = Project(outer / "shop")
    folder.path.mkdir(parents=True)
    for name in ("README.md", "notes.txt"):
        (folder / name).write_text("mine\n")
    outer.commit()
    command = (sys.executable, "-m", "copier", "copy", str(template), "shop")
    copying = terminal(*command, cwd=outer.path)
    while len(copying.asked) < len(ALWAYS_ASKED):
        copying.wait_for_question()
        copying.child.send(ENTER)
    copying.child.expect_exact("Overwrite README.md?")
    copying.child.send("n")
    copying.answer()

    assert folder.files() == rendered().files() | {"notes.txt"}
    assert {folder.read(name) for name in ("README.md", "notes.txt")} == {"mine\n"}
    assert outer.run("git", "diff", "--name-only").stdout == ""


def test_answers_in_a_file_are_not_asked_for(terminal, template, rendered, tmp_path):
    answers = {"use_redis": True, "deploy_target": "render", "ci_provider": "gitlab"}
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(answers))
    project = Project(tmp_path / "empty")
    project.path.mkdir()
    command = (sys.executable, "-m", "copier", "copy", "--data-file=../answers.yml")
    copying = terminal(*command, str(template), ".", cwd=project.path)
    copying.answer()

    assert {*ALWAYS_ASKED} - {*copying.asked} == answers.keys()
    assert project.files() == rendered(**answers).files()


@pytest.mark.slow
def test_make_new_asks_and_renders(terminal, checkout):
    destination = checkout.path.parent / "my project"
    command = ("make", "new", f"DEST={destination}")
    new = terminal(*command, cwd=checkout.path, timeout=120)
    new.answer(project_name=CLEAR + "Corner Shop" + ENTER)
    assert new.asked == ALWAYS_ASKED
    assert Project(destination).read("README.md").startswith("# Corner Shop\n")
    assert checkout.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_make_new_runs_unattended_without_uv(checkout, tmp_path):
    address = "https://git.example.com/team/slipway"
    checkout.run_ok("git", "remote", "set-url", "origin", address)
    new = checkout.make_ok(
        "new",
        "DEST=../my-project",
        "ARGS=--defaults -d use_redis=true -d 'project_name=Corner Shop'",
        PATH=path_without("uv"),
    )
    assert (checkout / ".tools/bin/uv").exists()
    project = Project(checkout.path.parent / "my-project")
    assert project.read("README.md").startswith("# Corner Shop\n")
    assert (project / "tests/test_cache.py").exists()
    assert checkout.run("git", "status", "--porcelain").stdout == ""
    assert "_src_path" not in new.stdout
    project.commit()
    project.run_ok(
        *(sys.executable, "-m", "copier", "update", "--defaults", "--vcs-ref=HEAD"),
        COPIER_CACHE_DIR=str(tmp_path / "cache"),
        COPIER_SETTINGS_PATH="/dev/null",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.{tmp_path}/origin.insteadOf",
        GIT_CONFIG_VALUE_0=address,
    )
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.fixture
def recorded(checkout):
    """Return a function that runs `make new` and returns its answers and what it prints.

    Copier is a program that does nothing, and the project has only its answers.
    """
    project = Project(checkout.path.parent / "my project")
    project.path.mkdir()

    def recorded(folder=".", commit=None):
        commit = commit or checkout.head()
        (project / ".copier-answers.yml").write_text(
            f"_commit: '{commit}'\n_src_path: {checkout.path}\n  folded\nauthor_name: Me\n"
        )
        options = ("COPIER=/bin/true", f"DEST={project.path}")
        new = checkout.make_ok("--silent", f"--directory={folder}", "new", *options)
        return project.read(".copier-answers.yml"), new.stdout

    return recorded


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (
            "https://me:sec@ret@github.com/team/slipway",
            "https://github.com/team/slipway",
        ),
        ("https://me@example.com/team/x.git", "https://example.com/team/x.git"),
        ("https://example.com/team/x", "git+https://example.com/team/x"),
        ("git@example.com:team/x", "git@example.com:team/x"),
        ("me@example.com:team/x.git", "git+me@example.com:team/x.git"),
        ("ssh://git@example.com/team/x.git", "ssh://git@example.com/team/x.git"),
    ],
)
def test_make_new_records_the_address_of_the_origin(
    checkout, recorded, address, source
):
    checkout.run_ok("git", "remote", "set-url", "origin", address)

    answers = f"_commit: '{checkout.head()}'\n_src_path: {source}\nauthor_name: Me\n"
    assert recorded() == (answers, "")


def test_make_new_warns_when_only_this_machine_can_update(checkout, recorded):
    def warning(**options):
        answers, printed = recorded(**options)
        assert f"_src_path: {checkout.path}\n" in answers
        assert printed.count("\n") == 1
        return re.search(
            "because (.*?)[.] See docs/update.md of this checkout[.]", printed
        )[1]

    for address in (f"{checkout.path.parent}/origin", "../origin", "file:///origin"):
        checkout.run_ok("git", "remote", "set-url", "origin", address)
        assert warning() == "this checkout has no origin with an address"
    checkout.run_ok("git", "remote", "set-url", "origin", "git@example.com:team/x")
    checkout.edit("LICENSE", "MIT License", "License")
    assert warning() == "this checkout has uncommitted changes"
    checkout.commit("A change")
    assert warning() == "the origin of this checkout lacks the commit"
    local = checkout.head()
    checkout.run_ok("git", "reset", "--hard", "HEAD~1")
    assert warning(commit=local) == "the origin of this checkout lacks the commit"
    shutil.copytree(checkout / "extensions", checkout / "inside/extensions")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(checkout / name, checkout / "inside")
    assert warning(folder="inside") == "this checkout has no origin with an address"
    checkout.run_ok("git", "remote", "remove", "origin")
    assert warning() == "this checkout has no origin with an address"


def test_make_new_copies_the_named_version(checkout):
    def copied(version):
        options = ("COPIER=/bin/echo", "DEST=../new", f"ARGS={version} --defaults")
        return checkout.make_ok("--silent", "new", *options).stdout.splitlines()[0]

    for version in ("--vcs-ref v1.0.0", "--vcs-ref=v1.0.0", "-r v1.0.0"):
        assert copied(version).startswith(f"copy {version} --defaults ")
    assert copied("-d x=y").startswith("copy --vcs-ref HEAD -d x=y --defaults ")


def test_make_new_refuses_a_file(checkout):
    (checkout.path.parent / "notes").write_text("mine")

    done = checkout.make("--silent", "new", "COPIER=/bin/echo", "DEST=../notes")

    assert done.returncode == 2
    assert done.stdout.startswith("../notes is a file. Set a new folder: make new ")


def test_make_new_makes_no_folder_that_is_named_like_home(checkout):
    done = checkout.make("--silent", "new", "COPIER=/bin/echo", "DEST=~/shop")

    assert done.returncode == 2
    assert done.stdout.startswith("The shell took ~/shop for a plain name.")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("start-page", "ADDRESS"),
        ("start-page", "FROM"),
        ("release", "VERSION"),
        ("release-diff", "FROM"),
        ("release-diff", "TO"),
    ],
)
def test_values_reach_the_programs_as_they_are(checkout, target, name):
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    value = """it's "one" value; exit 1"""

    done = checkout.make_ok("--old-file=setup", target, "FROM=a", f"{name}={value}")

    assert value in done.stdout.splitlines()


def test_setup_and_lock_print_only_what_they_do(checkout, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nmkdir -p .venv/bin; ln -sf /bin/true .venv/bin/python\n")
    uv.chmod(0o755)
    done = checkout.make_ok("lock", f"UV={uv}", "ARGS=--upgrade")
    printed = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in printed] == ["Installing", "Compiling"]


@pytest.mark.slow
def test_make_new_needs_a_destination(checkout):
    done = checkout.make("--no-print-directory", "new")
    assert done.returncode == 2
    assert done.stdout.startswith("Set the new folder: make new DEST=../my-project\n")
    assert not (checkout / ".tools").exists()
