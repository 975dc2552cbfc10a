import os

from scripts.servers import read_variables

VARIABLES = read_variables(__file__)


def find_missing():
    if os.environ.get("POSTGRES_HOST") not in (None, "", VARIABLES["POSTGRES_HOST"]):
        os.environ.setdefault("POSTGRES_PASSWORD", "postgres")
        return []
    return [] if os.environ.get("DATABASE_URL") else list(VARIABLES)
