import os

import pytest
from django.core.cache import cache

from apps.health.checks import NotReady
from apps.health.checks.cache import check_cache
from config.cache import RedisCache


def test_redis_keeps_a_value():
    cache.set("test_cache", {"number": 1}, timeout=10)

    assert cache.get("test_cache") == {"number": 1}


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


@pytest.mark.parametrize(
    ("url", "verify", "found"),
    [
        ("rediss://:secret@host:6380", "true", "rediss://:secret@host:6380"),
        (
            "rediss://:secret@host:6380",
            "false",
            "rediss://:secret@host:6380?ssl_cert_reqs=none",
        ),
        (
            "rediss://host:6380?socket_timeout=5",
            "false",
            "rediss://host:6380?socket_timeout=5&ssl_cert_reqs=none",
        ),
        ("redis://host:6379", "false", "redis://host:6379"),
    ],
)
def test_self_signed_certificate_is_accepted_on_request(load, url, verify, found):
    redis = {"REDIS_URL": url, "REDIS_VERIFY_TLS": verify}

    settings = load("local", os.environ | redis)

    assert settings["CACHES"]["default"]["LOCATION"] == found
