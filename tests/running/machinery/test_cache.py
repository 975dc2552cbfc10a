import pytest
from django.core.cache import cache

from apps.health.checks import NotReady
from apps.health.checks.cache import check_cache
from config.cache import RedisCache


def test_clear_keeps_the_keys_of_others(settings):
    options = {"KEY_PREFIX": f"{settings.REDIS_PREFIX}other"}
    other = RedisCache(settings.CACHES["default"]["LOCATION"], options)
    for each in (cache, other):
        each.set("test_cache", 1, timeout=60)

    cache.clear()

    assert cache.get("test_cache") is None
    assert other.get("test_cache") == 1
    other.clear()


def test_cache_that_loses_values_is_not_ready(settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    }

    with pytest.raises(NotReady, match="lost a value"):
        check_cache()
