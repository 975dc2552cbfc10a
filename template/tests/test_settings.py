import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from dotenv import dotenv_values
from environs import EnvError

from config.env import env
from config.logs import request_id

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = dotenv_values(ROOT / ".env.example")
# The variables without which production refuses to start.
PRODUCTION = tomllib.loads((ROOT / "tests" / "production.toml").read_text())


def test_tests_run_on_postgresql():
    assert connection.vendor == "postgresql"


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run")


def test_example_is_enough_for_development(load):
    assert load("local", EXAMPLE)["DEBUG"]


@pytest.mark.parametrize("debug", [True, False])
def test_debug_toolbar_needs_debug(load, debug):
    settings = load("local", EXAMPLE | {"DJANGO_DEBUG": str(debug)})

    assert ("debug_toolbar" in settings["INSTALLED_APPS"]) == debug


def test_required_variables_are_enough_for_production(load):
    settings = load("production", PRODUCTION)

    assert settings["ALLOWED_HOSTS"] == ["example.com"]
    assert settings["DATABASES"]["default"]["HOST"] == "db.example.com"


@pytest.mark.parametrize("name", PRODUCTION)
def test_production_refuses_a_missing_variable(load, name):
    others = {key: value for key, value in PRODUCTION.items() if key != name}

    for variables in (others, others | {name: ""}):
        with pytest.raises(EnvError, match=f'"{name}" not set'):
            load("production", variables)


@pytest.mark.parametrize("value", ["", " "])
def test_empty_variable_has_its_default(monkeypatch, value):
    monkeypatch.setenv("NUMBER", value)

    assert env.int("NUMBER", default=3) == 3


@pytest.mark.parametrize("module", ["ci", "local", "production"])
@pytest.mark.parametrize("name", ["ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"])
def test_list_has_neither_spaces_nor_empty_words(load, module, name):
    def values(variables):
        return load(module, PRODUCTION | variables)[name]

    assert values({f"DJANGO_{name}": " a.com,, b.com ,"})[-2:] == ["a.com", "b.com"]
    assert values({f"DJANGO_{name}": ", ,"}) == values({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DJANGO_SECRET_KEY", "short"),
        ("DJANGO_SECURE_HSTS_SECONDS", "an hour"),
        ("EMAIL_USE_TLS", "maybe"),
        ("POSTGRES_PORT", "default"),
        ("SENTRY_DSN", "example"),
        ("SITE_URL", "example"),
        ("DATABASE_URL", "example"),
    ],
)
def test_production_names_a_bad_value(load, name, value):
    variables = PRODUCTION | {"EMAIL_HOST": "smtp.example.com", name: value}

    with pytest.raises(EnvError, match=f'"{name}" invalid'):
        load("production", variables)


def test_database_url_contains_every_part(load):
    url = "postgres://user:secret@host:6543/name"

    database = load("production", PRODUCTION | {"DATABASE_URL": url})["DATABASES"]

    names = ("USER", "PASSWORD", "HOST", "PORT", "NAME")
    assert [database["default"][name] for name in names] == [
        "user",
        "secret",
        "host",
        6543,
        "name",
    ]


def test_statement_timeout_adds_to_the_options_of_the_url(load):
    url = "postgres://host/name?options=-c%20work_mem%3D8MB"
    variables = {"DATABASE_URL": url, "STATEMENT_TIMEOUT": "2.5"}

    database = load("production", PRODUCTION | variables)["DATABASES"]["default"]

    expected = "-c work_mem=8MB -c statement_timeout=2500"
    assert database["OPTIONS"]["options"] == expected


def test_release_without_a_name_is_unknown(load):
    assert load("production", PRODUCTION)["RELEASE"] == "unknown"


def test_other_hosts_are_added_to_that_of_the_site(load):
    variables = {"DJANGO_ALLOWED_HOSTS": "www.example.com"}

    settings = load("production", PRODUCTION | variables)

    assert settings["ALLOWED_HOSTS"] == ["example.com", "www.example.com"]


@pytest.mark.parametrize("name", ["ci", "local", "production"])
def test_settings_keep_every_key_of_base(load, name):
    base, settings = load("base", PRODUCTION), load(name, PRODUCTION)

    lost = [
        f"{setting}[{key!r}]"
        for setting, value in base.items()
        if setting.isupper() and isinstance(value, dict)
        for key in value
        if key not in settings[setting]
    ]
    assert lost == []


def test_production_logs_json_to_standard_output():
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
        env=PRODUCTION | environment,
        stdout=subprocess.PIPE,
        check=True,
    )

    info, warning = (json.loads(line) for line in done.stdout.splitlines())
    assert info["levelname"] == "INFO"
    assert info["message"] == "Line 1\nline 2"
    assert info["timestamp"].endswith("+00:00")
    assert "Soon gone" in warning["message"]


@pytest.fixture
def reports(load, monkeypatch):
    """Return the options with which production starts to report errors."""
    options = {}
    monkeypatch.setattr("sentry_sdk.init", lambda dsn, **given: options.update(given))
    dsn = "https://key@sentry.example.com/1"
    load("production", PRODUCTION | {"SENTRY_DSN": dsn, "RELEASE": "1f2e3d"})
    return options


def test_error_report_names_release_environment_and_request(reports):
    token = request_id.set("3f2")
    event = reports["before_send"]({}, {})
    request_id.reset(token)

    assert reports["release"] == "1f2e3d"
    assert reports["environment"] == "example.com"
    assert event == {"tags": {"request_id": "3f2"}}


def test_error_report_identifies_no_person(reports):
    collected = reports["data_collection"]

    assert reports["before_send"]({}, {}) == {}
    assert collected["user_info"] is False
    assert collected["stack_frame_variables"] is False


def test_example_lists_exactly_the_variables_that_settings_read():
    read = {
        name
        for source in ROOT.glob("config/**/*.py")
        for name in re.findall(r'env\.\w+\(\s*"(\w+)"', source.read_text())
    }

    assert EXAMPLE.keys() == read | {"DJANGO_SETTINGS_MODULE"}
