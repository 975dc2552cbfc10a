"""The pages work in production, those of errors without a database."""

import re

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.urls import path, reverse_lazy

from config import urls


@login_not_required
def refuse(request):
    raise PermissionDenied


@login_not_required
def fail(request):
    raise RuntimeError("only for developers")


urlpatterns = [*urls.urlpatterns, path("refuse", refuse), path("fail", fail)]


@pytest.fixture
def client(https, settings):
    https.raise_request_exception = False
    https.handler.enforce_csrf_checks = True
    settings.ROOT_URLCONF = __name__
    return https


@pytest.mark.django_db
def test_landing_page_opens(client):
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "template"),
    [
        ("GET", "/refuse", 403, "403.html"),
        ("POST", reverse_lazy("admin:login"), 403, "403_csrf.html"),
        ("GET", "/nowhere", 404, "404.html"),
        ("GET", "/fail", 500, "500.html"),
    ],
)
def test_error_has_a_page(client, method, path, status, template):
    response = client.generic(method, str(path))

    assert response.status_code == status
    assert response.templates[0].name == template
    assert "only for developers" not in response.content.decode()


def test_error_page_needs_no_list_of_static_files(client, settings, tmp_path):
    settings.STATIC_ROOT = tmp_path

    assert client.get("/fail").templates[0].name == "500.html"


@pytest.mark.parametrize(
    "path", [pytest.param("/", marks=pytest.mark.django_db), "/nowhere", "/fail"]
)
def test_static_files_of_a_page_exist(client, settings, path):
    page = client.get(path).content.decode()

    for link in re.findall(rf'(?:src|href)="({settings.STATIC_URL}.*?)"', page):
        response = client.get(link)
        assert response.status_code == 200, link
        response.getvalue()  # closes the file
