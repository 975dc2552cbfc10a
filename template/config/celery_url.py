"""The addresses of Celery's servers."""

from config.redis import is_redis, redis_url


def celery_url(text):
    """Return an address as Celery reads it, which may be of another kind of server.

    Raises ValueError as redis_url() does.
    """
    if not is_redis(text):
        return text
    url = redis_url(text)
    if url.startswith("unix:"):
        return url.replace("unix:", "redis+socket:").replace("?db=", "?virtual_host=")
    return url
