"""Real releases behind a real proxy: no request fails during a deployment."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.deployment.platforms import Heroku
from tests.deployment.sites import Sites, serving
from tests.support.machine import give_up
from tests.support.processes import fetch, production
from tests.support.project import closed_port

pytestmark = [pytest.mark.slow, pytest.mark.seconds(30)]
NGINX = """
daemon off;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream web {{ include upstream.conf; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://web;
      proxy_set_header Host example.com;
      proxy_set_header X-Forwarded-Proto https;
    }}
  }}
}}
"""
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [
        migrations.AddField("user", "nickname", models.TextField(default="")),
    ]
"""
MODEL = '\n    nickname = models.TextField(default="")\n'


def release_b(project):
    """Make a release with a migration."""
    (project / "apps/users/migrations/0002_nickname.py").write_text(MIGRATION)
    with (project / "apps/users/models.py").open("a") as models:
        models.write(MODEL)
    project.edit("apps/users/models.py", "from django.contrib", IMPORT_MODELS)


IMPORT_MODELS = "from django.db import models\nfrom django.contrib"


def never_ready(project):
    """Make a release that starts and is never ready."""
    project.edit(
        "apps/health/checks/database.py", '"SELECT 1"', '"SELECT 1 FROM nowhere"'
    )


def never_starts(project):
    """Make a release whose migrations run, and whose web process crashes."""
    with (project / "config/wsgi.py").open("a") as wsgi:
        wsgi.write('raise RuntimeError("not today")\n')


@pytest.fixture
def nginx(tmp_path):
    """Run nginx; yield its folder and its port."""
    if not shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
        give_up("the end-to-end test needs nginx (Debian: nginx-light)")
    folder, port = tmp_path / "nginx", closed_port()
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(port=port))
    (folder / "upstream.conf").write_text(f"server 127.0.0.1:{closed_port()};\n")
    path = f"{os.environ['PATH']}:/usr/sbin"
    process = subprocess.Popen(
        ["nginx", "-p", folder, "-c", "nginx.conf"], env={"PATH": path}
    )
    yield folder, port
    process.terminate()
    process.wait(20)


class Visitor(threading.Thread):
    """A visitor who requests a page again and again, and records each answer."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answers, self.done = port, [], False

    def run(self):
        while not self.done:
            try:
                self.answers.append(fetch(self.port, "/admin/login/")[0])
            except OSError as error:
                self.answers.append(repr(error))
            time.sleep(0.02)


@contextlib.contextmanager
def visitors(port, number=3):
    """Yield several visitors of a site, who request it until the block ends."""
    people = [Visitor(port) for _ in range(number)]
    for person in people:
        person.start()
    yield people
    for person in people:
        person.done = True
        person.join()


@pytest.fixture
def platform(render, nginx, tmp_path):
    """Yield Heroku with a machine that runs a project's real processes."""
    folder, port = nginx
    project = render(deploy_target="heroku")
    url = "https://staging.my-project.example.com"
    project.edit("deploy/environments.toml", url, f"http://127.0.0.1:{port}")
    project.installed()
    project.commits = []
    place = tmp_path / "heroku"
    place.mkdir()
    with serving(Sites()) as server, project.services() as variables:
        platform = Heroku(project, place, server)
        platform.variables |= production() | variables
        del platform.variables["RELEASE"]  # A test deploys several releases.
        del platform.variables["PYTHONPATH"]  # Real processes need real time.
        platform.variables |= {
            "DYNO_PROXY": str(folder),
            "DYNO_VENV": str(project / ".venv"),
            "SMOKE_SECONDS": "5",
            "WATCH_SECONDS": "1",
        }
        platform.variables["PATH"] += ":/usr/sbin"
        yield platform
        if (place / "web.pid").exists():
            os.kill(int((place / "web.pid").read_text()), signal.SIGTERM)


def test_no_request_fails_during_deployments(platform, nginx):
    project, port = platform.project, nginx[1]
    first = project.commit("A")
    assert_deployed(platform, first)

    with visitors(port) as people:
        release_b(project)
        second = project.commit("B")
        assert_deployed(platform, second)
        for change, words in (
            (never_ready, "is not ready: database"),
            (never_starts, f"it runs release {second}, not "),
        ):
            change(project)
            bad = project.commit(change.__name__)
            code, output = platform.run("deploy", "staging", bad)
            assert code == 1, output
            assert words in output
            assert f"The previous release {second} runs again and is ready." in output
            project.run("git", "reset", "--hard", second)
        code, output = platform.run("rollback", "staging")
        assert code == 0, output
        assert f"staging was rolled back to {first}: " in output

    answers = [answer for person in people for answer in person.answers]
    assert len(answers) > 100
    assert set(answers) == {200}
    # Nothing was reversed: the previous release runs on the newer schema.
    shown = project.run(
        *(".venv/bin/python", "manage.py", "showmigrations", "users"),
        **platform.variables,
    )
    assert "[X] 0002_nickname" in shown.stdout


def assert_deployed(platform, release):
    code, output = platform.run("deploy", "staging", release)
    log = Path(platform.folder / "web.log")
    assert code == 0, output + log.read_text() * log.exists()
