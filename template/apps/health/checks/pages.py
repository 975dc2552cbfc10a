from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.http.request import validate_host

from apps.health.checks import NotReady


def check_host():
    # Probes skip the host check, which every page needs.
    host = urlsplit(settings.SITE_URL).hostname or ""
    if not validate_host(host, settings.ALLOWED_HOSTS):
        raise NotReady(f"ALLOWED_HOSTS lacks {host}, the host of SITE_URL")


def check_static_files():
    # Without its list of collected files, the storage fails on every page that names one.
    storage = staticfiles_storage
    if isinstance(storage, ManifestFilesMixin) and not storage.hashed_files:
        raise NotReady("no static files: run manage.py collectstatic, then restart")
