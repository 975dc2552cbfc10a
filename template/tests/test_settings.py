import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from dotenv import dotenv_values
from environs import EnvError

from config.logs import request_id

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = dotenv_values(ROOT / ".env.example")
# env.str("NAME"), env("NAME"), os.environ["NAME"], os.getenv("NAME"), "NAME" in os.environ
READING = re.compile(
    r"""(?:(?:\benv|environ|getenv)(?:\.\w+)?[(\[]\s*["']"""
    r"""|["'](?=\w+["'] (?:not )?in \S*environ))(\w+)"""
)


def test_tests_run_on_postgresql():
    assert connection.vendor == "postgresql"


@pytest.mark.django_db(databases="__all__")
def test_no_migration_is_missing():
    try:
        call_command("makemigrations", "--check", "--dry-run")
    except SystemExit:
        message = "A migration is missing: run make manage ARGS=makemigrations."
        pytest.fail(message, pytrace=False)


def test_example_is_enough_for_development(load):
    assert load("local", EXAMPLE)["DEBUG"]


@pytest.mark.parametrize("debug", [True, False])
def test_debug_toolbar_needs_debug(load, debug):
    settings = load("local", EXAMPLE | {"DJANGO_DEBUG": str(debug)})

    assert ("debug_toolbar" in settings["INSTALLED_APPS"]) == debug


def test_required_variables_are_enough_for_production(load, required):
    settings = load("production", required)

    assert settings["ALLOWED_HOSTS"] == ["example.com"]
    assert settings["DATABASES"]["default"]["HOST"] == "db.example.com"


def test_production_refuses_a_missing_variable(load, required):
    for name in required:
        others = {key: value for key, value in required.items() if key != name}
        for variables in (others, others | {name: ""}):
            with pytest.raises(EnvError, match=f'"{name}" not set'):
                load("production", variables)


@pytest.mark.parametrize("name", ["ci", "local", "production"])
def test_settings_keep_every_key_of_base(load, required, name):
    base, settings = load("base", required), load(name, required)

    lost = [
        f"{setting}[{key!r}]"
        for setting, value in base.items()
        if setting.isupper() and isinstance(value, dict)
        for key in value
        if key not in settings[setting]
    ]
    assert lost == []


def test_production_names_a_bad_value(load, required):
    mail = {"EMAIL_HOST": "smtp.example.com", "EMAIL_USE_TLS": "maybe"}

    with pytest.raises(EnvError, match='"EMAIL_USE_TLS" invalid'):
        load("production", required | mail)


def test_database_url_contains_every_part(load, required):
    url = "postgres://user:secret@host:6543/name"

    database = load("production", required | {"DATABASE_URL": url})["DATABASES"]

    names = ("USER", "PASSWORD", "HOST", "PORT", "NAME")
    assert [database["default"][name] for name in names] == [
        "user",
        "secret",
        "host",
        "6543",
        "name",
    ]


@pytest.mark.parametrize("address", [{}, {"DATABASE_URL": "postgres://host/name"}])
def test_variables_set_how_the_database_is_verified(load, required, address):
    variables = {"POSTGRES_SSLMODE": "verify-full", "POSTGRES_SSLROOTCERT": __file__}

    settings = load("production", required | address | variables)

    options = settings["DATABASES"]["default"]["OPTIONS"]
    assert options["sslmode"] == "verify-full"
    assert options["sslrootcert"] == __file__


def test_public_authorities_are_those_of_the_machine(load, required, monkeypatch):
    calls = []
    name = "config.database_url.use_authorities_of_machine"
    monkeypatch.setattr(name, lambda: calls.append(name))

    load("production", required)
    assert calls == []
    load("production", required | {"POSTGRES_SSLROOTCERT": "system"})
    assert calls == [name]


def test_statement_timeout_adds_to_the_options_of_the_url(load, required):
    url = "postgres://host/name?options=-c%20work_mem%3D8MB"
    variables = {"DATABASE_URL": url, "STATEMENT_TIMEOUT": "2.5"}

    database = load("production", required | variables)["DATABASES"]["default"]

    expected = "-c work_mem=8MB -c statement_timeout=2500"
    assert database["OPTIONS"]["options"] == expected


def test_mail_goes_through_the_server_of_the_environment(load, required):
    settings = load("production", required | {"EMAIL_HOST": "smtp.example.com"})

    # Django 5.2 has settings of its own for the only server.
    servers = settings.get("MAILERS", {"default": {"OPTIONS": {}}})
    host = servers["default"]["OPTIONS"].get("host", settings.get("EMAIL_HOST"))
    assert host == "smtp.example.com"


def test_production_refuses_two_kinds_of_encrypted_mail(load, required):
    variables = {"EMAIL_USE_TLS": "true", "EMAIL_USE_SSL": "true"}

    with pytest.raises(EnvError, match="EMAIL_USE_TLS or EMAIL_USE_SSL"):
        load("production", required | variables)


def test_other_hosts_are_added_to_that_of_the_site(load, required):
    variables = {"DJANGO_ALLOWED_HOSTS": "www.example.com"}

    settings = load("production", required | variables)

    assert settings["ALLOWED_HOSTS"] == ["example.com", "www.example.com"]


@pytest.fixture
def reports(load, required, monkeypatch):
    """Return the options with which production starts to report errors."""
    options = {}
    monkeypatch.setattr("sentry_sdk.init", lambda dsn, **given: options.update(given))
    dsn = "https://key@sentry.example.com/1"
    load("production", required | {"SENTRY_DSN": dsn, "RELEASE": "1f2e3d"})
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
        for folder in ("apps", "config")
        for source in ROOT.glob(f"{folder}/**/*.py")
        for name in READING.findall(source.read_text())
    }

    assert EXAMPLE.keys() == read | {"DJANGO_SETTINGS_MODULE"}
