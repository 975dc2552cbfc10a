import json
import os
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from unittest import mock

import pytest
from dotenv import dotenv_values
from environs import EnvError

from config.env import env

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = dotenv_values(ROOT / ".env.example")
# The smallest and the largest value of each number
LIMITS = {
    "CELERY_WORKER_CONCURRENCY": (1, 1000),
    "DATABASE_POOL_SIZE": (1, 1000),
    "DJANGO_SECURE_HSTS_SECONDS": (0, 10**9),
    "EMAIL_PORT": (1, 65535),
    "EMAIL_TIMEOUT": (0.1, 600),
    "PORT": (1, 65535),
    "MIGRATE_LOCK_TIMEOUT": (0.1, 600),
    "POSTGRES_PORT": (1, 65535),
    "POSTGRES_TIMEOUT": (1, 600),
    "REDIS_TIMEOUT": (0.1, 600),
    "S3_TIMEOUT": (0.1, 600),
    "STATEMENT_TIMEOUT": (0, 86400),
    "TRUSTED_PROXIES": (0, 10),
    "WEB_CONCURRENCY": (1, 1000),
}
NUMBERS = sorted(name for name, value in EXAMPLE.items() if (value or "").isdecimal())
MORE = {
    "EMAIL_HOST": "smtp.example.com",
    "AWS_STORAGE_BUCKET_NAME": "shop",
    "AWS_REGION": "eu-central-1",
}


@pytest.fixture
def start(load, required):
    """Return a function that reads all settings of a server with some variables."""

    def start(**variables):
        variables = required | MORE | variables
        with mock.patch.dict(os.environ, variables, clear=True):
            run_path(str(ROOT / "config/gunicorn.py"))
        return load("production", variables)

    return start


@pytest.mark.parametrize("name", NUMBERS)
def test_number_without_sense_is_refused_by_name(start, name):
    smallest, largest = LIMITS[name]
    start(**{name: str(smallest)})
    start(**{name: str(largest)})

    below = {smallest - 1} | ({0} if smallest > 0 else set())
    for value in (*below, largest + 1, "nan", "inf", "three"):
        with pytest.raises(EnvError, match=f'"{name}" invalid'):
            start(**{name: str(value)})


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
        ("DJANGO_ALLOWED_HOSTS", "münchen.de"),
        ("DJANGO_CSRF_TRUSTED_ORIGINS", "https://münchen.de"),
        ("EMAIL_USE_TLS", "maybe"),
        ("POSTGRES_SSLMODE", "no-verify"),
        ("POSTGRES_SSLROOTCERT", "absent.pem"),
        ("SENTRY_DSN", "example"),
        ("SENTRY_DSN", "https://key@sentry.example.com/"),
        ("SITE_URL", "example"),
        ("SITE_URL", "ftp://example.com"),
        ("SITE_URL", "https://münchen.de"),
        ("SITE_URL", "https://example.com/shop"),
        ("DATABASE_URL", "example"),
    ],
)
def test_production_names_a_bad_value(start, name, value):
    with pytest.raises(EnvError, match=f'"{name}" invalid'):
        start(**{name: value})


@pytest.mark.parametrize(
    "code",
    [
        'env.str(\n    "NAME",',
        'env("NAME")',
        'os.environ["NAME"]',
        'environ.get("NAME", "")',
        'os.getenv("NAME")',
        "os.environ.setdefault('NAME', 1)",
        'if "NAME" in os.environ:',
        'if "NAME" not in environ:',
    ],
)
def test_every_reading_of_a_variable_is_found(code):
    pattern = run_path(str(ROOT / "tests/test_settings.py"))["READING"]

    assert pattern.findall(code) == ["NAME"]


def test_site_has_the_form_that_browsers_send(start):
    settings = start(SITE_URL="https://Example.com/")

    assert settings["SITE_URL"] == "https://example.com"
    assert settings["ALLOWED_HOSTS"] == ["example.com"]


def test_tiny_limit_of_a_statement_is_no_absence_of_one(start):
    database = start(STATEMENT_TIMEOUT="0.0001")["DATABASES"]["default"]

    assert database["OPTIONS"]["options"].endswith("statement_timeout=1")


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
