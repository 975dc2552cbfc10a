import pytest
from django.core.cache import cache

from apps.health.checks import NotReady, check_cache


def test_redis_keeps_a_value():
    cache.set("test_cache", {"number": 1}, timeout=10)

    assert cache.get("test_cache") == {"number": 1}


def test_a_cache_that_loses_values_is_not_ready(settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    }

    with pytest.raises(NotReady, match="lost a value"):
        check_cache()
