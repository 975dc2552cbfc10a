from django.core.cache import cache


def test_redis_keeps_a_value():
    cache.set("test_cache", {"number": 1}, timeout=10)

    assert cache.get("test_cache") == {"number": 1}
