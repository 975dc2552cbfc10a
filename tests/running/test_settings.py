"""Every settings module keeps what base.py adds, and reads empty variables as unset."""

import json

import pytest

from tests.support.options import FULL, REDIS_STATES

pytestmark = pytest.mark.slow

ADDED = """
DATABASES["replica"] = DATABASES["default"] | {"NAME": "replica", "OPTIONS": {}}
DATABASES["archive"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
STORAGES["reports"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
TEMPLATES[0]["DIRS"].append(BASE_DIR / "pages")
LOGGING["loggers"]["noisy"] = {"level": "ERROR"}
CACHES = globals().get("CACHES", {})
CACHES["local"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
if "CHANNEL_LAYERS" in globals():
    CHANNEL_LAYERS["other"] = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
if "MAILERS" in globals():
    MAILERS["bulk"] = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
"""
FOUND = """
import json, logging, django
django.setup()
from django.conf import settings
from django.core.cache import caches
from django.core.files.storage import storages
from django.db import connections
from django.template.loader import get_template
replica = connections["replica"]
found = {
    "database": replica.settings_dict["NAME"],
    "reused": bool(replica.settings_dict["CONN_MAX_AGE"] or replica.pool),
    "storage": type(storages["reports"]).__name__,
    "template": get_template("added.html").render(),
    "archive": connections["archive"].cursor().execute("SELECT 1").fetchone()[0],
    "level": logging.getLogger("noisy").level,
    "cache": type(caches["local"]).__name__,
}
if hasattr(settings, "CHANNEL_LAYERS"):
    from channels.layers import channel_layers
    found["layer"] = type(channel_layers["other"]).__name__
if hasattr(settings, "MAILERS"):
    from django.core.mail import mailers
    found["mailer"] = type(mailers["bulk"]).__module__
print(json.dumps(found))
"""
EMPTY = """
import os, sys, tomllib
from importlib import import_module
from pathlib import Path
from dotenv import dotenv_values
module = sys.argv[1]
required = tomllib.loads(Path("tests/production.toml").read_text())
every = dotenv_values(".env.example") | required
def load(variables):
    for name in ("config.settings.base", f"config.settings.{module}"):
        sys.modules.pop(name, None)
    os.environ.clear()
    os.environ.update(variables)
    loaded = vars(import_module(f"config.settings.{module}"))
    # No function is equal to that of another import.
    loaded.get("DEBUG_TOOLBAR_CONFIG", {}).pop("SHOW_TOOLBAR_CALLBACK", None)
    return {name: value for name, value in loaded.items() if name.isupper()}
for name in every.keys() - required.keys():
    rest = {key: value for key, value in every.items() if key != name}
    for value in ("", " "):
        if load(rest) != load(rest | {name: value}):
            print(f"{name}={value!r} is not like unset")
print("finished")
"""
MODULES = ["ci", "local", "production"]


@pytest.fixture(scope="module", params=["django 5.2", "everything"])
def project(render_for_module, request):
    lts = REDIS_STATES["none"] | {"django_version": "5.2"}
    project = render_for_module(
        **(lts if request.param == "django 5.2" else FULL | {"use_docker": True})
    )
    with (project / "config/settings/base.py").open("a") as base:
        base.write(ADDED)
    (project / "pages").mkdir()
    (project / "pages/added.html").write_text("added")
    return project.installed()


@pytest.mark.parametrize("name", MODULES)
def test_additions_to_base_reach_every_settings_module(project, name):
    variables = project.toml("tests/production.toml")
    module = {"DJANGO_SETTINGS_MODULE": f"config.settings.{name}"}

    done = project.run_ok(".venv/bin/python", "-c", FOUND, **variables, **module)

    expected = {
        "database": "replica",
        "reused": name == "production",
        "archive": 1,
        "storage": "InMemoryStorage",
        "template": "added",
        "level": 40,
        "cache": "LocMemCache",
    }
    if project.has("config/routing.py"):
        expected["layer"] = "InMemoryChannelLayer"
        expected["mailer"] = "django.core.mail.backends.locmem"
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("name", MODULES)
def test_empty_variable_has_the_value_of_an_unset_one(project, name):
    done = project.run_ok(".venv/bin/python", "-c", EMPTY, name)

    assert done.stdout == "finished\n"


def test_uploads_stay_out_of_git_and_the_image(project):
    project.run("git", "init")

    project.run_ok("git", "check-ignore", "media/upload.txt")
    if project.has("Dockerfile"):
        assert "/media/" in project.read(".dockerignore").splitlines()


def test_schedule_of_beat_stays_out_of_git_and_the_image(project):
    project.run("git", "init")

    ignored = project.run("git", "check-ignore", "celerybeat-schedule.db")

    has_beat = project.has("config/celery.py")
    assert (ignored.returncode == 0) == has_beat
    if has_beat:
        assert "/celerybeat-schedule*" in project.read(".dockerignore").splitlines()
