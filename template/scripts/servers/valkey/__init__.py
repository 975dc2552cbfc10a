import os

from scripts.servers import read_variables

VARIABLES = read_variables(__file__)


def find_missing():
    # Settings use REDIS_URL where another variable is not set.
    if os.environ.get("REDIS_URL"):
        return []
    return [name for name in VARIABLES if not os.environ.get(name)]
