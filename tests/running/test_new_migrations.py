"""`make check-migrations` warns only about the migrations of a change."""

import os

import pytest

from tests.support.breaks import MIGRATION
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.seconds(20)]
DROP = "migrations.RunSQL('ALTER TABLE users_user DROP COLUMN {}')"
FOLDER = "apps/users/migrations"
INITIAL = f"{FOLDER}/0001_initial.py"
REPLACES = "    replaces = [('users', '0001_initial')]"
OLD, NEW = f"{FOLDER}/0002_old.py", f"{FOLDER}/0003_new.py"
OLD_WARNING = f"{OLD}: warning: users_user.first_name is gone"
NEW_WARNING = f"{NEW}: warning: users_user.last_name is gone"
ALL = "Finding breaking changes in all migrations, because "


def add_old(project):
    (project / OLD).write_text(MIGRATION.format(DROP.format("first_name")))


def add_new(project):
    text = MIGRATION.format(DROP.format("last_name"))
    (project / NEW).write_text(text.replace("0001_initial", "0002_old"))


def git(project, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    return project.run_ok("git", *identity, *arguments).stdout.strip()


def save(project, title):
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", title)


@pytest.fixture(scope="module")
def origin(render_for_module, tmp_path_factory):
    """Return a repository whose main has an old migration, and whose branch a new one.

    Another branch has what GitHub checks out for a pull request: both, merged. Main has
    gone on since the branch began.
    """
    project = render_for_module()
    add_old(project)
    git(project, "init", "--quiet", "--initial-branch", "main")
    save(project, "Old migration")
    git(project, "checkout", "--quiet", "-b", "change")
    add_new(project)
    save(project, "New migration")
    for number in range(3):
        (project / f"note-{number}.txt").write_text("")
        save(project, "Note")
    git(project, "checkout", "--quiet", "main")
    (project / "README.md").write_text("")
    save(project, "README")
    git(project, "checkout", "--quiet", "-b", "merged")
    git(project, "merge", "--quiet", "--no-edit", "change")
    git(project, "checkout", "--quiet", "main")
    return project


@pytest.fixture
def clone(origin, tmp_path):
    """Return a function that clones a branch of the repository."""

    def clone(branch, *options):
        url = f"file://{origin.path}"
        options = ("--quiet", "--branch", branch, *options)
        git(origin, "clone", *options, url, str(tmp_path / "clone"))
        return Project(tmp_path / "clone").installed()

    return clone


def check(project, **variables):
    """Return what `make check-migrations` prints about the old and the new migration."""
    output = project.make_ok("check-migrations", **variables).stdout
    assert "Applying users.0002_old..." in output
    first = next(line for line in output.splitlines() if "Finding breaking" in line)
    return first, OLD_WARNING in output, NEW_WARNING in output


def test_branch_warns_about_its_own_migrations(clone):
    _, old, new = check(clone("change"))

    assert (old, new) == (False, True)


def test_main_warns_about_its_last_commit_and_uncommitted_files(clone):
    project = clone("main")
    assert check(project)[1:] == (False, False)

    add_new(project)
    (project.path / os.fsdecode(b"caf\xe9.txt")).touch()
    assert check(project)[1:] == (False, True)

    save(project, "New migration")
    git(project, "push", "--quiet", "origin", "HEAD:pushed")
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert check(project)[1:] == (False, True)

    (project / "README.md").write_text("Edited")
    save(project, "README")
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert check(project)[1:] == (False, False)


def test_first_commit_breaks_nothing(render):
    project = render().installed()
    add_old(project)
    project.commit()
    add_new(project)

    assert check(project) == ("Finding breaking changes since HEAD.", False, True)


def test_edited_migration_is_warned_about(clone):
    project = clone("main")
    with (project / OLD).open("a") as file:
        file.write("# edited\n")

    assert check(project)[1:] == (True, False)


def test_table_of_an_edited_migration_is_not_new(clone):
    project = clone("main")
    with (project / INITIAL).open("a") as file:
        file.write("# edited\n")
    add_new(project)

    assert check(project)[1:] == (False, True)


def test_table_of_a_squashed_migration_is_not_new(clone):
    project = clone("main")
    text = project.read(INITIAL).replace("    initial = True", REPLACES)
    assert REPLACES in text
    (project / f"{FOLDER}/0001_squashed.py").write_text(text)
    add_new(project)

    assert check(project)[1:] == (False, True)


def test_project_in_a_folder_of_its_repository_knows_its_migrations(origin, tmp_path):
    whole = Project(tmp_path)
    project = origin.copy_to(tmp_path / "backend")
    project.run_ok("rm", "-rf", ".git")
    git(whole, "init", "--quiet", "--initial-branch", "main")
    save(whole, "All")
    add_new(project.installed())

    assert check(project, BASE_COMMIT="HEAD")[1:] == (False, True)


def test_enforced_migration_fails_without_a_reason(render):
    project = render(migration_safety="enforce")
    add_old(project)
    project.commit("Old migration")
    project.commit_each(["Note"])
    add_new(project)
    project.installed()
    text = project.read(NEW)

    outcomes = {}
    for line in ("", "accepted = ''", "accepted = 'Unused since release 1.'"):
        (project / NEW).write_text(text.replace("depend", f"{line}\n    depend", 1))
        outcomes[line] = project.make("check-migrations")

    missing, empty, accepted = outcomes.values()
    for done in (missing, empty):
        assert done.returncode != 0
        assert NEW_WARNING in done.stdout
        assert "set `accepted` in it to the reason" in done.stdout
    assert accepted.returncode == 0, accepted.stdout
    assert "is gone" not in accepted.stdout


# What each provider's file sets, in a clone as its checkout makes it.
PROVIDERS = {
    "github": ("merged", ["--depth=2"], "HEAD^1"),
    "gitlab": ("change", ["--depth=100"], " origin/change~4"),
    "gitlab-merged": ("merged", ["--depth=100"], "HEAD^2~4 HEAD^1"),
    "circleci": ("change", ["--filter=blob:none"], ""),
}


@pytest.mark.parametrize(
    ("branch", "options", "base"), PROVIDERS.values(), ids=PROVIDERS
)
def test_clone_of_each_provider_is_enough(clone, branch, options, base):
    first, *warned = check(clone(branch, *options), BASE_COMMIT=base)

    assert not first.startswith(ALL)
    assert warned == [False, True]


UNKNOWN = {
    "shallow": ("change", ["--depth=2"], "1" * 40, f"this clone has no commit {'1' * 40}."),
    "first commit": ("main", ["--depth=1"], "", "this clone has no commit before the last one."),
    "other branch": ("change", ["--single-branch"], "", "git has no branch origin/HEAD or"),
    "other history": ("change", ["--depth=2", "--no-single-branch"], "", "git merge-base"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("branch", "options", "base", "reason"), UNKNOWN.values(), ids=UNKNOWN
)
def test_all_migrations_count_if_the_base_is_unknown(
    clone, branch, options, base, reason
):
    first, *warned = check(clone(branch, *options), BASE_COMMIT=base)

    assert first.startswith(ALL + reason)
    assert warned == [True, branch == "change"]


def test_all_migrations_count_without_a_repository(clone):
    project = clone("main")
    project.run_ok("rm", "-rf", ".git")

    first, *warned = check(project)

    assert first.startswith(f"{ALL}not a git repository")
    assert warned == [True, False]
