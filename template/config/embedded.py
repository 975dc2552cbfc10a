"""Read the environment of development and tests: from config.embedded import env

Where neither the environment nor .env names a server, this names the embedded one.
"""

from contextlib import suppress

from config.env import env

__all__ = ["env"]

# Production may have no scripts, and no embedded servers.
with suppress(ModuleNotFoundError):
    from scripts.services import set_addresses

    set_addresses()
