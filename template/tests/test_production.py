import re

import pytest
from django.conf import settings
from django.urls import reverse

pytestmark = pytest.mark.django_db


def test_http_redirects_to_https(https):
    response = https.get("/admin/", headers={"x-forwarded-proto": "http"})

    assert response.status_code == 301
    assert response["Location"] == "https://example.com/admin/"


def test_foreign_host_is_refused(https):
    assert https.get("/admin/", headers={"host": "evil.example"}).status_code == 400


def test_site_with_its_host_and_static_files_is_ready(https):
    checks = https.get("/readyz").json()["checks"]

    assert checks["host"] == checks["static_files"] == "ok"


def test_responses_have_security_headers(https):
    response = https.get(reverse("admin:login"))

    assert response["Strict-Transport-Security"].startswith("max-age=")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]


def test_cookies_are_secure(https):
    cookie = https.get(reverse("admin:login")).cookies["csrftoken"]

    assert cookie["secure"]


def test_static_files_are_hashed_and_cached_forever(https):
    page = https.get(reverse("admin:login")).content.decode()
    name = re.escape(f"{settings.STATIC_URL}admin/css/base.")
    (path,) = re.findall(rf'href="({name}\w+[.]css)"', page)

    response = https.get(path)

    assert b"body" in response.getvalue()
    assert "immutable" in response["Cache-Control"]
