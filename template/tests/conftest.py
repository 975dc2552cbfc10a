import runpy

import pytest


@pytest.fixture
def production(monkeypatch, settings, tmp_path):
    """Put the production settings in force, but for what belongs to the test run."""
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
