from wsgiref.util import setup_testing_defaults

from config.wsgi import application


def test_application_answers():
    environ = {"PATH_INFO": "/healthz"}
    setup_testing_defaults(environ)
    statuses = []

    body = application(environ, lambda status, headers: statuses.append(status))

    assert statuses == ["200 OK"]
    assert b"".join(body) == b"ok"
