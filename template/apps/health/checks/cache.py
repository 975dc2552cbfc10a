import uuid

from django.core.cache import cache


class CacheLost(Exception):
    """The cache took a value and did not give it back."""


def check():
    key = f"health-{uuid.uuid4()}"
    cache.set(key, key, timeout=10)
    if cache.get(key) != key:
        raise CacheLost
