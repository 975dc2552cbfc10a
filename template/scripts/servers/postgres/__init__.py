import os

from scripts.servers import read_variables

VARIABLES = read_variables(__file__)


def find_missing():
    host = os.environ.get("POSTGRES_HOST")
    if host == VARIABLES["POSTGRES_HOST"]:
        unset = [name for name in VARIABLES if not os.environ.get(name)]
        return ["POSTGRES_HOST", *unset]
    if host:
        os.environ.setdefault("POSTGRES_PASSWORD", "postgres")
        return []
    return [] if os.environ.get("DATABASE_URL") else list(VARIABLES)
