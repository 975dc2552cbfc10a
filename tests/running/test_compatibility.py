"""`make check-migrations` warns about each migration that breaks the running release."""

import re

import pytest

from tests.support.options import choices

pytestmark = pytest.mark.slow
MIGRATION = """\
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    {attribute}
    dependencies = [("users", "{before}")]
    operations = [{operations}]
"""
BEGIN = """
migrations.CreateModel(
    "Book",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("title", models.CharField(max_length=50)),
        ("blurb", models.CharField(max_length=50, null=True)),
        ("price", models.DecimalField(max_digits=5, decimal_places=2)),
        ("pages", models.IntegerField(null=True)),
        ("shelf", models.IntegerField(db_default=1)),
        ("isbn", models.IntegerField(db_index=True)),
        ("author", models.TextField(null=True)),
        ("owner", models.BigIntegerField(null=True)),
        ("seller", models.BigIntegerField(null=True)),
    ],
),
migrations.CreateModel("Shop", [("id", models.BigAutoField(primary_key=True))]),
migrations.CreateModel("Club", [("id", models.BigAutoField(primary_key=True))])
"""
HARMLESS = {
    "create": BEGIN,
    "create_with_rules": """
migrations.CreateModel(
    "Author",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=9, unique=True)),
        ("born", models.PositiveIntegerField(db_index=True)),
    ],
    options={
        "constraints": [
            models.CheckConstraint(condition=models.Value(True), name="true"),
        ],
        "indexes": [models.Index(models.F("born") + 1, name="next")],
    },
)""",
    "add_nullable": """
migrations.AddField("Book", "sold", models.IntegerField(null=True, default=1))""",
    "add_with_db_default": """
migrations.AddField("Book", "stock", models.PositiveIntegerField(db_default=1))""",
    "add_foreign_key": """
migrations.AddField("Book", "shop", models.ForeignKey("Shop", models.CASCADE, null=True))
""",
    "add_many_to_many": """
migrations.AddField("Shop", "books", models.ManyToManyField("Book", related_name="+"))""",
    "lengthen": """
migrations.AlterField("Book", "title", models.CharField(max_length=90))""",
    "lengthen_without_end": """
migrations.AlterField("Book", "title", models.TextField())""",
    "lengthen_a_number": """
migrations.AlterField("Book", "price", models.DecimalField(max_digits=9, decimal_places=2))
""",
    "allow_null": """
migrations.AlterField("Book", "title", models.TextField(null=True))""",
    "say_what_the_database_need_not_know": """
migrations.AlterField("Book", "title", models.TextField(null=True, help_text="?"))""",
    "rename_but_for_the_column": """
migrations.RenameField("Book", "pages", "length"),
migrations.AlterField("Book", "length", models.IntegerField(null=True, db_column="pages"))
""",
    "add_what_fills_itself": """
migrations.RunSQL("ALTER TABLE users_book ADD place int GENERATED ALWAYS AS IDENTITY"),
migrations.RunSQL("ALTER TABLE users_book ADD half int GENERATED ALWAYS AS (pages / 2) STORED")
""",
    "rename_index": """
migrations.RenameIndex("Author", new_name="next_year", old_name="next")""",
    "remove_rule": """
migrations.RemoveConstraint("Author", "true")""",
    "take_out_of_the_model_only": """
migrations.SeparateDatabaseAndState(
    state_operations=[migrations.RemoveField("Book", "blurb")]
)""",
}
# What a migration does, and how its warnings begin.
HARMFUL = {
    "add_with_default": (
        """
migrations.AddField("Book", "rank", models.IntegerField(default=1)),
migrations.AddField("Book", "year", models.IntegerField(db_default=1))""",
        ["users_book.rank needs a value, but"],
    ),
    "drop_db_default": (
        """
migrations.AlterField("Book", "shelf", models.IntegerField())""",
        ["users_book.shelf needs a value, but"],
    ),
    "refuse_null": (
        """
migrations.AlterField("Book", "sold", models.IntegerField(db_default=0))""",
        ["users_book.sold rejects null, but"],
    ),
    "shorten": (
        """
migrations.AlterField("Book", "author", models.CharField(max_length=9, null=True))""",
        ["users_book.author changes from text to character varying(9), but"],
    ),
    "shorten_more": (
        """
migrations.AlterField("Book", "author", models.CharField(max_length=8, null=True))""",
        ["users_book.author changes from character varying(9) to character varying(8)"],
    ),
    "round": (
        """
migrations.AlterField("Book", "price", models.DecimalField(max_digits=9, decimal_places=1))
""",
        ["users_book.price changes from numeric(9,2) to numeric(9,1), but"],
    ),
    "turn_into_text": (
        """
migrations.AlterField("Book", "isbn", models.TextField())""",
        ["users_book.isbn changes from integer to text, but"],
    ),
    "index": (
        """
migrations.AddIndex("Book", models.Index(fields=["title"], name="by_title"))""",
        ["Writes to users_book wait while by_title is built"],
    ),
    "refuse_twins": (
        """
migrations.AddConstraint("Book", models.UniqueConstraint(fields=["title"], name="one"))""",
        ["one rejects rows of users_book that"],
    ),
    "refuse_twins_by_index": (
        """
migrations.AddConstraint(
    "Book", models.UniqueConstraint(models.F("price") + 1, name="one_price")
)""",
        ["one_price rejects rows of users_book that"],
    ),
    "refuse_numbers": (
        """
migrations.AddConstraint(
    "Book", models.CheckConstraint(condition=models.Q(price__gt=0), name="dear")
)""",
        ["dear rejects rows of users_book that"],
    ),
    "foreign_key": (
        """
migrations.AlterField(
    "Book", "owner", models.ForeignKey("Shop", models.CASCADE, null=True, db_column="owner")
)""",
        [
            "Writes to users_book wait while users_book_owner_",
            "Writes to users_book and users_shop wait while the rows of users_book_owner_",
            "users_book_owner_",
        ],
    ),
    "foreign_key_again": (
        """
migrations.AlterField(
    "Book", "shop", models.ForeignKey("Shop", models.CASCADE, db_default=1)
)""",
        [
            "users_book.shop_id rejects null, but",
            "Writes to users_book and users_shop wait while the rows of users_book_shop_",
        ],
    ),
    "foreign_key_not_valid": (
        """
migrations.RunSQL(
    "ALTER TABLE users_book ADD CONSTRAINT sold_by"
    " FOREIGN KEY (seller) REFERENCES users_shop NOT VALID"
)""",
        ["sold_by rejects rows of users_book that"],
    ),
    "foreign_key_validated": (
        """
migrations.RunSQL("ALTER TABLE users_book VALIDATE CONSTRAINT sold_by")""",
        [],
    ),
    "drop_column": (
        """
migrations.RemoveField("Book", "stock")""",
        ["users_book.stock is gone, but"],
    ),
    "drop_column_by_sql": (
        """
migrations.RunSQL("alter table users_book\\n drop blurb")""",
        ["users_book.blurb is gone, but"],
    ),
    "drop_column_by_python": (
        """
migrations.RunPython(
    lambda apps, editor: editor.execute("ALTER TABLE users_book DROP author")
)""",
        ["users_book.author is gone, but"],
    ),
    "rename_column": (
        """
migrations.RenameField("Book", "isbn", "number")""",
        ["users_book.isbn is gone, but", "users_book.number needs a value, but"],
    ),
    "rename_table": (
        """
migrations.AlterModelTable("Club", "clubs")""",
        ["users_club is gone, but"],
    ),
    "drop_table": (
        """
migrations.DeleteModel("Club")""",
        ["clubs is gone, but"],
    ),
    "drop_many_to_many": (
        """
migrations.RemoveField("Shop", "books")""",
        ["users_shop_books is gone, but"],
    ),
}
# A second database of PostgreSQL, which has only the app archive, one that is the first
# under another name, and one of another kind
DATABASES = """
DATABASES["archive"] = DATABASES["default"] | {"NAME": "archive"}
DATABASES["replica"] = DATABASES["default"] | {"TEST": {"MIRROR": "default"}}
DATABASES["notes"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASE_ROUTERS = ["apps.archive.router.Router"]
INSTALLED_APPS.append("apps.archive")
"""
ROUTER = """
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return (db == "archive") == (app_label == "archive")
"""
ARCHIVE = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [
        migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True))]),
    ]
"""
DROP_ARCHIVE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("archive", "0001_initial")]
    operations = [migrations.DeleteModel("Box")]
"""
# What the commit has that a branch begins from
BASE = {
    "begin": BEGIN,
    "create_past": """
migrations.CreateModel("Past", [("id", models.BigAutoField(primary_key=True))])""",
    "drop_past": """
migrations.DeleteModel("Past")""",
}
# What the migrations of the branch do, and how their warnings begin: the running release
# uses nothing that another one of them added.
BRANCH = {
    "create": (
        """
migrations.CreateModel(
    "Item",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("title", models.TextField(null=True)),
        ("size", models.IntegerField()),
        ("shop", models.ForeignKey("Shop", models.CASCADE)),
        ("books", models.ManyToManyField("Book", related_name="+")),
    ],
),
migrations.CreateModel("Past", [("name", models.TextField(primary_key=True))]),
migrations.AddField("Club", "items", models.ManyToManyField("Item", related_name="+")),
migrations.AddField("Book", "stock", models.IntegerField(null=True))""",
        [],
    ),
    "change_new_columns": (
        """
migrations.RenameField("Item", "size", "length"),
migrations.AddField("Item", "rank", models.IntegerField(default=1)),
migrations.AlterField("Item", "title", models.CharField(max_length=9)),
migrations.AddIndex("Item", models.Index(fields=["title"], name="by_item")),
migrations.AddConstraint(
    "Item", models.UniqueConstraint(fields=["length"], name="one_length")
),
migrations.RemoveField("Past", "name")""",
        [],
    ),
    "rename_new_tables": (
        """
migrations.RenameModel("Item", "Thing"),
migrations.AlterModelTable("Past", "past")""",
        [],
    ),
    "change_renamed_new_tables": (
        """
migrations.RemoveField("Thing", "rank"),
migrations.AlterField("Thing", "length", models.TextField())""",
        [],
    ),
    "change_new_column_of_old_table": (
        """
migrations.RenameField("Book", "stock", "store"),
migrations.AlterField("Book", "store", models.TextField(db_default="", default=""))""",
        [],
    ),
    "index_new_column_of_old_table": (
        """
migrations.AddIndex("Book", models.Index(fields=["store"], name="by_store"))""",
        ["Writes to users_book wait while by_store is built"],
    ),
    "require_new_column_of_old_table": (
        """
migrations.RunSQL("ALTER TABLE users_book ALTER store DROP DEFAULT")""",
        ["users_book.store needs a value, but"],
    ),
    "drop_what_is_new": (
        """
migrations.RemoveField("Book", "store"),
migrations.RemoveField("Club", "items"),
migrations.RemoveField("Thing", "books"),
migrations.DeleteModel("Thing"),
migrations.DeleteModel("Past")""",
        [],
    ),
    "rename_old_table": (
        """
migrations.RenameModel("Book", "Volume")""",
        ["users_book is gone, but"],
    ),
    "change_renamed_old_table": (
        """
migrations.RenameField("Volume", "pages", "length"),
migrations.RemoveField("Volume", "blurb")""",
        ["users_volume.blurb is gone, but", "users_volume.pages is gone, but"],
    ),
    "change_renamed_old_column": (
        """
migrations.AlterField("Volume", "length", models.TextField(null=True))""",
        ["users_volume.length changes from integer to text, but"],
    ),
    "replace_old_table": (
        """
migrations.DeleteModel("Club"),
migrations.CreateModel("Club", [("id", models.BigAutoField(primary_key=True))])""",
        [],
    ),
    "drop_replaced_table": (
        """
migrations.DeleteModel("Club")""",
        ["users_club is gone, but"],
    ),
}
CONCURRENTLY = """
AddIndexConcurrently("Book", models.Index(fields=["price"], name="by_price"))"""
EXPECTED = {name: [] for name in (*HARMLESS, "concurrently", "accepted")}
EXPECTED |= {name: beginnings for name, (_, beginnings) in HARMFUL.items()}


def add_migration(project, name, operations, attribute=""):
    """Add a migration after the last one of the app users."""
    folder = project / "apps/users/migrations"
    before = sorted(path.stem for path in folder.glob("0*.py"))[-1]
    path = folder / f"{int(before[:4]) + 1:04}_{name}.py"
    path.write_text(
        MIGRATION.format(attribute=attribute, before=before, operations=operations)
    )
    return path


def add_databases(project):
    """Add a database with an app of its own, whose second migration drops a table."""
    with (project / "config/settings/base.py").open("a") as settings:
        settings.write(DATABASES)
    folder = project / "apps/archive/migrations"
    folder.mkdir(parents=True)
    for path in (folder.parent / "__init__.py", folder / "__init__.py"):
        path.touch()
    (folder.parent / "router.py").write_text(ROUTER)
    (folder / "0001_initial.py").write_text(ARCHIVE)
    (folder / "0002_drop.py").write_text(DROP_ARCHIVE)


def warnings(output):
    """Return the warnings, each with its file, in the order of the log."""
    return re.findall(r"^(\S+)\.py: warning: (.+)$", output, re.MULTILINE)


@pytest.fixture(scope="module", params=choices("django_version"))
def migrated(request, render_for_module):
    """Return the output of `make check-migrations` in a project with all those migrations."""
    project = render_for_module(django_version=request.param).installed()
    for name, operations in HARMLESS.items():
        add_migration(project, name, operations)
    add_migration(project, "concurrently", CONCURRENTLY, "atomic = False")
    for name, (operations, _) in HARMFUL.items():
        add_migration(project, name, operations)
    add_migration(
        project, "accepted", 'migrations.DeleteModel("Author")', 'accepted = "Unused."'
    )
    add_databases(project)
    done = project.make_ok("check-migrations")
    return done.stdout


@pytest.fixture(scope="module")
def branch(render_for_module):
    """Return the output of `make check-migrations` on a branch with all of BRANCH."""
    project = render_for_module().installed()
    for name, operations in BASE.items():
        add_migration(project, name, operations)
    project.commit()
    for name, (operations, _) in BRANCH.items():
        add_migration(project, name, operations)
    return project.make_ok("check-migrations", BASE_COMMIT="HEAD").stdout


def assert_warnings(output, name, beginnings):
    """Check how the warnings about a migration begin."""
    path = re.compile(rf"apps/users/migrations/\d+_{name}")
    printed = [text for file, text in warnings(output) if path.fullmatch(file)]

    assert len(printed) == len(beginnings), printed
    for text, beginning in zip(printed, reversed(beginnings), strict=True):
        assert text.startswith(beginning)
        assert re.search(r": [a-z].*\.$", text), "It names no fix."


@pytest.mark.parametrize(("name", "beginnings"), EXPECTED.items(), ids=EXPECTED)
def test_migration_that_breaks_the_running_release_is_warned_about(
    migrated, name, beginnings
):
    assert_warnings(migrated, name, beginnings)


@pytest.mark.parametrize(
    ("name", "beginnings"),
    [(name, beginnings) for name, (_, beginnings) in BRANCH.items()],
    ids=BRANCH,
)
def test_what_a_branch_added_may_change(branch, name, beginnings):
    assert_warnings(branch, name, beginnings)


def test_warnings_list_the_newest_first_and_the_page_last(migrated):
    files = [file for file, _ in warnings(migrated) if file.startswith("apps/users/")]

    assert files == sorted(files, reverse=True)
    last = [line for line in migrated.splitlines() if line.startswith("docs/")]
    assert last == ["docs/migrations.md explains how to fix or to accept each warning."]


def test_second_database_is_checked(migrated):
    about_archive = [
        (file, text) for file, text in warnings(migrated) if "archive" in file
    ]

    assert [file for file, _ in about_archive] == ["apps/archive/migrations/0002_drop"]
    assert about_archive[0][1].startswith("archive_box is gone, but")
    assert "Warning: these databases are not checked: notes\n" in migrated


def test_migrations_of_packages_give_no_warning(migrated):
    assert "Applying contenttypes.0002_remove_content_type_name... OK" in migrated
    assert {file.split("/")[0] for file, _ in warnings(migrated)} == {"apps"}


def test_warnings_are_annotations_on_github(render):
    project = render(ci_provider="github").installed()
    steps = project.yaml(".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    (environment,) = [
        step["env"] for step in steps if step.get("run") == "make check-migrations"
    ]
    path = add_migration(
        project, "drop", 'migrations.RemoveField("User", "first_name")'
    ).relative_to(project.path)

    done = project.make_ok("check-migrations", **environment)

    text = "users_user.first_name is gone, but"
    assert f"\n::warning file={path}::{path}: {text}" in done.stdout


@pytest.mark.parametrize("damage", ["FROM pg_index", "FROM pg_attribute JOIN"])
def test_check_migrations_fails_if_the_tables_cannot_be_read(render, damage):
    project = render().installed()
    project.edit("scripts/compatibility.py", damage, damage.replace("pg", "no"))

    done = project.make("check-migrations")

    assert done.returncode != 0
    assert "does not exist" in done.stdout


def test_check_migrations_fails_if_it_cannot_follow_migrations(render):
    project = render().installed()
    project.edit(
        "scripts/check_migrations.py",
        'Command, "migration_progress_callback", watch)',
        'Command, "migration_callback", watch)',
    )

    done = project.make("check-migrations")

    assert done.returncode != 0
    assert "does not have the attribute" in done.stdout
