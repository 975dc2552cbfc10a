"""The pages work in production, without a database."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import path

from config import urls


def refuse(request):
    raise PermissionDenied


def fail(request):
    raise RuntimeError("only for developers")


urlpatterns = [*urls.urlpatterns, path("refuse", refuse), path("fail", fail)]


@pytest.fixture
def client(https, settings):
    https.raise_request_exception = False
    https.handler.enforce_csrf_checks = True
    settings.ROOT_URLCONF = __name__
    return https


def test_landing_page_opens(client):
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "heading"),
    [
        ("GET", "/refuse", 403, "Access denied"),
        ("POST", "/admin/login/", 403, "Form not accepted"),
        ("GET", "/nowhere", 404, "Page not found"),
        ("GET", "/fail", 500, "Server error"),
    ],
)
def test_error_has_a_page(client, method, path, status, heading):
    response = client.generic(method, path)

    assert response.status_code == status
    assert f"<h1>{heading}</h1>" in response.content.decode()
    assert "only for developers" not in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/nowhere", "/fail"])
def test_page_has_its_style(client, path):
    page = client.get(path).content.decode()

    styles = re.findall(r'rel="stylesheet" href="(/static/.*?)"', page)
    assert styles
    for style in styles:
        response = client.get(style)
        assert response.status_code == 200
        assert b"{" in response.getvalue()


def test_failing_page_needs_no_list_of_static_files(client, settings, tmp_path):
    settings.STATIC_ROOT = tmp_path

    response = client.get("/")

    assert response.status_code == 500
    assert "<h1>Server error</h1>" in response.content.decode()
