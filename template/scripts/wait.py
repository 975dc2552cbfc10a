"""Wait until every server answers; the pipeline runs `make wait` before the other targets.

python -m scripts.wait [SECONDS]
"""

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scripts.servers import load
from scripts.state import PATIENCE

PROBES = load("probe")
FAILURES = tuple(failure for probe in PROBES for failure in probe.FAILURES)
# Waiting longer does not help.
REFUSAL = re.compile("authentication|password", re.IGNORECASE)


def main():
    seconds = sys.argv[1] if sys.argv[1:] else str(PATIENCE)
    if not seconds.isdecimal():
        sys.exit(f"Set ARGS to a number of seconds, not {seconds!r}.")
    patience = int(seconds)
    begin = time.monotonic()
    servers: dict[str, Callable] = {}
    for probe in PROBES:
        servers |= probe.find_servers()
    while failures := find_failures(servers):
        waited = time.monotonic() - begin
        if waited > patience or any(map(REFUSAL.search, failures.values())):
            sys.exit(
                "\n".join(
                    f"{name} gave no connection in {waited:.0f} s: {reason}"
                    for name, reason in failures.items()
                )
            )
        time.sleep(0.2)


def find_failures(servers):
    """Return why servers gave no connection, by name. All are tried at the same time."""
    with ThreadPoolExecutor() as pool:
        runs = {
            name: pool.submit(find_failure, connect)
            for name, connect in servers.items()
        }
    return {name: run.result() for name, run in runs.items() if run.result()}


def find_failure(connect):
    """Return why a server gave no connection, or None if it gave one."""
    try:
        connect()
    except FAILURES as error:
        # PostgreSQL names the server, then the reason, then a hint: the reason is enough.
        reason = str(error).partition("\n")[0].rpartition("failed: ")[2]
        return reason or type(error).__name__
    return None


if __name__ == "__main__":
    main()
