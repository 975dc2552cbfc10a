"""The channel layer in Redis."""

from channels_redis import core


class RedisChannelLayer(core.RedisChannelLayer):
    """The library's, but a receiver waits for a second at a time, instead of five.

    All share the connections and their limit, which must be longer than this wait.
    """

    brpop_timeout = 1
