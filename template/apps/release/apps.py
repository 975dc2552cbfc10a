from django.apps import AppConfig
from django.core import checks

from apps.release.imports import check_backends


class ReleaseConfig(AppConfig):
    name = "apps.release"

    def ready(self):
        checks.register(check_backends, deploy=True)
