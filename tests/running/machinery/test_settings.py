import json
import subprocess
import sys
from pathlib import Path

import pytest
from environs import EnvError

from config.env import env

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("value", ["", " "])
def test_empty_variable_has_its_default(monkeypatch, value):
    monkeypatch.setenv("NUMBER", value)

    assert env.int("NUMBER", default=3) == 3


def test_error_of_a_parser_names_the_variable(monkeypatch):
    monkeypatch.setenv("NUMBER", "3")
    assert env.parse("NUMBER", int) == 3
    monkeypatch.setenv("NUMBER", "three")

    with pytest.raises(EnvError, match='"NUMBER" invalid'):
        env.parse("NUMBER", int)


@pytest.mark.parametrize("module", ["local", "production"])
@pytest.mark.parametrize("name", ["ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"])
def test_list_has_neither_spaces_nor_empty_words(load, required, module, name):
    def values(variables):
        return load(module, required | variables)[name]

    assert values({f"DJANGO_{name}": " a.com,, b.com ,"})[-2:] == ["a.com", "b.com"]
    assert values({f"DJANGO_{name}": ", ,"}) == values({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DJANGO_SECRET_KEY", "short"),
        ("DJANGO_SECURE_HSTS_SECONDS", "an hour"),
        ("EMAIL_USE_TLS", "maybe"),
        ("POSTGRES_PORT", "default"),
        ("POSTGRES_SSLMODE", "no-verify"),
        ("SENTRY_DSN", "example"),
        ("SITE_URL", "example"),
        ("DATABASE_URL", "example"),
    ],
)
def test_production_names_a_bad_value(load, required, name, value):
    variables = required | {"EMAIL_HOST": "smtp.example.com", name: value}

    with pytest.raises(EnvError, match=f'"{name}" invalid'):
        load("production", variables)


def test_tests_take_no_host_from_the_environment(load, required):
    variables = {"SITE_URL": "http://localhost", "DJANGO_ALLOWED_HOSTS": "localhost"}

    settings = load("ci", required | variables)

    assert settings["ALLOWED_HOSTS"] == ["testserver"]
    assert settings["SITE_URL"] == "http://testserver"


def test_release_without_a_name_is_unknown(load, required):
    assert load("production", required)["RELEASE"] == "unknown"


def test_production_logs_json_to_standard_output(required):
    log = """
import logging, warnings, django
django.setup()
logging.info("Line 1\\nline 2")
warnings.warn("Soon gone")
"""
    environment = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "TZ": "Asia/Tokyo",
    }

    done = subprocess.run(
        [sys.executable, "-c", log],
        cwd=ROOT,
        env=required | environment,
        stdout=subprocess.PIPE,
        check=True,
    )

    info, warning = (json.loads(line) for line in done.stdout.splitlines())
    assert info["levelname"] == "INFO"
    assert info["message"] == "Line 1\nline 2"
    assert info["timestamp"].endswith("+00:00")
    assert "Soon gone" in warning["message"]
