import uuid

from django.core.cache import cache

from apps.health.checks import NotReady


def check_cache():
    key = f"health-{uuid.uuid4()}"
    cache.set(key, key, timeout=10)
    if cache.get(key) != key:
        raise NotReady("the cache lost a value")
