import os
import ssl
from unittest import mock

import pytest
from environs import EnvError

from config.database_url import database_url, use_authorities_of_machine


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgres://ann:p%40%2F%23@host:6543/name?sslmode=require&channel_binding=require",
            {
                "HOST": "host",
                "PORT": "6543",
                "NAME": "name",
                "USER": "ann",
                "PASSWORD": "p@/#",
                "OPTIONS": {"sslmode": "require", "channel_binding": "require"},
            },
        ),
        (
            "postgresql://host/name?pgbouncer=true&options=endpoint%3Dep-1",
            {
                "DISABLE_SERVER_SIDE_CURSORS": True,
                "OPTIONS": {"options": "endpoint=ep-1"},
            },
        ),
        (
            "postgresql:///name?host=/var/run/Pg&target_session_attrs=read-write",
            {
                "HOST": "/var/run/Pg",
                "DISABLE_SERVER_SIDE_CURSORS": False,
                "OPTIONS": {"target_session_attrs": "read-write"},
            },
        ),
        ("postgresql://%2Fvar%2Frun%2FPg/name", {"HOST": "/var/run/Pg", "PORT": ""}),
        ("postgresql://[::1]:6543/name", {"HOST": "::1", "PORT": "6543"}),
        ("postgresql://one,two:6543/name", {"HOST": "one,two", "PORT": ",6543"}),
    ],
)
def test_database_url_has_the_parts_that_libpq_reads(url, expected):
    assert database_url(url).items() >= expected.items()


@pytest.mark.parametrize(
    "url",
    [
        "host=localhost password=secret",
        "mysql://ann:secret@host/name",
        "postgres://ann:secret@host",
        "postgres://ann:se/cret@host/name",
        "postgres://ann:12/cret@host/name",
        "postgres://ann:se@cret@host/name",
        "postgres://ann:se%cret@host/name",
        "postgres://ann:secret@host:port/name",
        "postgres://ann:secret@host:0/name",
        "postgres://ann:secret@host:65536/name",
        "postgres://ann:secret@host/name?sslmode=no-verify",
        "postgres://ann:secret@host/name?connection_limit=1",
    ],
)
def test_database_url_that_libpq_misreads_is_refused(load, required, url):
    with pytest.raises(EnvError, match="Use postgresql://user:password@") as caught:
        load("production", required | {"DATABASE_URL": url})

    assert '"DATABASE_URL" invalid' in str(caught.value)
    assert "cret" not in str(caught.value)


def test_missing_file_of_a_certificate_is_refused(load, required):
    url = "postgres://ann:secret@host/name?sslrootcert=absent.pem"

    with pytest.raises(EnvError, match='"DATABASE_URL" invalid: The file of'):
        load("production", required | {"DATABASE_URL": url})


def test_libpq_finds_the_authorities_that_python_finds():
    with mock.patch.dict(os.environ, clear=True):
        paths = ssl.get_default_verify_paths()

        use_authorities_of_machine()

        assert os.environ["SSL_CERT_FILE"] == (paths.cafile or paths.openssl_cafile)
        assert os.environ["SSL_CERT_DIR"] == (paths.capath or paths.openssl_capath)


def test_address_of_the_database_goes_before_variables(load, required):
    url = "postgres://host/name?sslmode=disable&connect_timeout=9"
    variables = {"DATABASE_URL": url, "POSTGRES_SSLMODE": "require"}

    settings = load("production", required | variables)

    options = settings["DATABASES"]["default"]["OPTIONS"]
    assert options["sslmode"] == "disable"
    assert options["connect_timeout"] == "9"
