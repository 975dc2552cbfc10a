import uuid

from django.conf import settings
from django.core.cache import cache
from django.utils.module_loading import import_string

from apps.health.checks import NotReady

# Imports the client of the cache.
import_string(settings.CACHES["default"]["BACKEND"])


def check_cache():
    key = f"health-{uuid.uuid4()}"
    cache.set(key, key, timeout=10)
    if cache.get(key) != key:
        raise NotReady("the cache lost a value")
    cache.delete(key)
