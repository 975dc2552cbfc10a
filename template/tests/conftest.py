import os
import sys
from importlib import import_module
from unittest import mock

import pytest


@pytest.fixture(autouse=True)
def patient_checks(monkeypatch):
    """Give the health checks more time than a busy machine needs."""
    monkeypatch.setattr("apps.health.runner.TIMEOUT", 60)


@pytest.fixture
def load(monkeypatch):
    """Return a function that loads settings with only the given variables set."""

    def load(name, variables):
        # Settings change base's values in place, so each load imports base again.
        for module in ("config.settings.base", f"config.settings.{name}"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        with mock.patch.dict(os.environ, variables, clear=True):
            return vars(import_module(f"config.settings.{name}"))

    return load


@pytest.fixture
def production(load, settings, tmp_path):
    """Apply the production settings, except those that belong to the test run."""
    variables = {
        "DJANGO_SECRET_KEY": 50 * "x",
        "SITE_URL": "https://example.com",
    }
    loaded = load("production", os.environ | variables)
    for name in loaded.keys() - {"DATABASES", "LOGGING", "STATIC_ROOT"}:
        if name.isupper():
            setattr(settings, name, loaded[name])
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    return settings
