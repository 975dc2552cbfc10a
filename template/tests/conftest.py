import importlib
import os
import runpy
from unittest import mock

import pytest

from config.settings import base


@pytest.fixture
def load():
    """Return a function that loads settings with only the given variables set."""

    def load(name, variables):
        with mock.patch.dict(os.environ, variables, clear=True):
            importlib.reload(base)
            return runpy.run_module(f"config.settings.{name}")

    yield load
    importlib.reload(base)


@pytest.fixture
def production(monkeypatch, settings, tmp_path):
    """Apply the production settings, except those that belong to the test run."""
    monkeypatch.setenv("DJANGO_SECRET_KEY", 50 * "x")
    monkeypatch.setenv("SITE_URL", "https://example.com")
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "example.com")
    loaded = runpy.run_module("config.settings.production")
    for name in loaded.keys() - {"DATABASES", "LOGGING", "STATIC_ROOT"}:
        if name.isupper():
            setattr(settings, name, loaded[name])
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    return settings
