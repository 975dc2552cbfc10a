from importlib import import_module

from config import gunicorn


def test_gunicorn_finds_the_application():
    assert import_module(gunicorn.wsgi_app).application
