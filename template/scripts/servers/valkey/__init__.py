import os

from scripts.servers import read_variables

VARIABLES = read_variables(__file__)


def find_missing():
    # Settings use REDIS_URL where another variable is not set.
    if os.environ.get("REDIS_URL") not in (None, "", VARIABLES["REDIS_URL"]):
        return []
    return [
        name
        for name, embedded in VARIABLES.items()
        if os.environ.get(name) in (None, "", embedded)
    ]
