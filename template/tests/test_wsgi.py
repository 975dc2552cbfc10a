from wsgiref.util import setup_testing_defaults

import pytest

from config.wsgi import application


# Each request checks the database connection, which an earlier test may have opened.
@pytest.mark.django_db
def test_application_answers():
    environ = {"PATH_INFO": "/healthz"}
    setup_testing_defaults(environ)
    statuses = []

    def start_response(status, *_):
        statuses.append(status)

    body = application(environ, start_response)

    assert statuses == ["200 OK"]
    assert b"".join(body) == b"ok"
