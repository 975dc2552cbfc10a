import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import send_mail

from apps.health.checks import NotReady
from apps.health.checks.pages import check_host, check_static_files

pytestmark = pytest.mark.django_db


def test_http_redirects_to_https(https):
    response = https.get("/admin/", headers={"x-forwarded-proto": "http"})

    assert response.status_code == 301
    assert response["Location"] == "https://example.com/admin/"


def test_foreign_host_is_refused(https):
    assert https.get("/admin/", headers={"host": "evil.example"}).status_code == 400


def test_site_without_its_own_host_is_not_ready(production):
    production.ALLOWED_HOSTS = ["www.example.com"]

    with pytest.raises(NotReady, match=r"ALLOWED_HOSTS lacks example\.com"):
        check_host()


def test_site_without_static_files_is_not_ready(production):
    with pytest.raises(NotReady, match="collectstatic"):
        check_static_files()


def test_site_with_its_host_and_static_files_is_ready(https):
    checks = https.get("/readyz").json()["checks"]

    assert checks["host"] == checks["static_files"] == "ok"


def test_mail_without_a_server_is_refused(production):
    with pytest.raises(ImproperlyConfigured, match="Set EMAIL_HOST"):
        send_mail("Subject", "Text", None, ["ann@example.com"])


def test_responses_have_security_headers(https):
    response = https.get("/admin/login/")

    assert response["Strict-Transport-Security"].startswith("max-age=")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]


def test_cookies_are_secure(https):
    cookie = https.get("/admin/login/").cookies["csrftoken"]

    assert cookie["secure"]


def test_static_files_are_hashed_and_cached_forever(https):
    page = https.get("/admin/login/").content.decode()
    path = page.partition('href="/static/admin/css/base.')[2].partition('"')[0]

    response = https.get(f"/static/admin/css/base.{path}")

    assert path != "css"
    assert b"body" in response.getvalue()
    assert "immutable" in response["Cache-Control"]
