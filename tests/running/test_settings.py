"""What a team adds to base.py is there under every settings module."""

import json

import pytest

from tests.support.options import FULL, REDIS_STATES

pytestmark = pytest.mark.slow

ADDED = """
DATABASES["replica"] = DATABASES["default"] | {"NAME": "replica"}
STORAGES["reports"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
TEMPLATES[0].setdefault("DIRS", []).append(BASE_DIR / "pages")
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
found = {
    "database": connections["replica"].settings_dict["NAME"],
    "storage": type(storages["reports"]).__name__,
    "template": get_template("added.html").render(),
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


@pytest.fixture(scope="module", params=["django 5.2", "everything"])
def project(render_for_module, request):
    lts = REDIS_STATES["none"] | {"django_version": "5.2"}
    project = render_for_module(**(lts if request.param == "django 5.2" else FULL))
    with (project / "config/settings/base.py").open("a") as base:
        base.write(ADDED)
    (project / "pages").mkdir()
    (project / "pages/added.html").write_text("added")
    return project.installed()


@pytest.mark.parametrize("name", ["ci", "local", "production"])
def test_additions_to_base_reach_every_settings_module(project, name):
    variables = project.toml("tests/production.toml")
    module = {"DJANGO_SETTINGS_MODULE": f"config.settings.{name}"}

    done = project.run_ok(".venv/bin/python", "-c", FOUND, **variables, **module)

    expected = {
        "database": "replica",
        "storage": "InMemoryStorage",
        "template": "added",
        "level": 40,
        "cache": "LocMemCache",
    }
    if project.has("config/routing.py"):
        expected["layer"] = "InMemoryChannelLayer"
        expected["mailer"] = "django.core.mail.backends.locmem"
    assert json.loads(done.stdout) == expected
