import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import send_mail

from apps.health.checks import NotReady
from apps.health.checks.pages import check_host, check_static_files

pytestmark = pytest.mark.django_db


def test_site_without_its_own_host_is_not_ready(production):
    production.ALLOWED_HOSTS = ["www.example.com"]

    with pytest.raises(NotReady, match=r"ALLOWED_HOSTS lacks example\.com"):
        check_host()


def test_site_without_static_files_is_not_ready(production):
    with pytest.raises(NotReady, match="collectstatic"):
        check_static_files()


def test_mail_without_a_server_is_refused(production):
    with pytest.raises(ImproperlyConfigured, match="Set EMAIL_HOST"):
        send_mail("Subject", "Text", None, ["ann@example.com"])


def test_upload_without_a_place_is_refused(production):
    with pytest.raises(ImproperlyConfigured, match="MEDIA_ROOT"):
        default_storage.save("upload.txt", ContentFile("text"))


def test_uploads_are_kept_in_an_existing_folder(production, tmp_path):
    production.MEDIA_ROOT = tmp_path

    name = default_storage.save("upload.txt", ContentFile("text"))

    assert (tmp_path / name).read_text() == "text"
