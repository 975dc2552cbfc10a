"""The cache in Redis."""

from django.core.cache.backends import redis
from redis import Redis


class RedisCache(redis.RedisCache):
    """Django's, but clear() deletes only the keys of this cache.

    Django empties the whole database, which may contain more: the tests, for example,
    share it with development.
    """

    def clear(self):
        client: Redis = self._cache.get_client(write=True)
        with client.pipeline(transaction=False) as pipeline:
            for key in client.scan_iter(match=f"{self.key_prefix}:*", count=1000):
                pipeline.unlink(key)
            pipeline.execute()
        return True
