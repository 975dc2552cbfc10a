"""Watch the pages of a site for a while after the switch.

deploy/environments.toml can have `watch_p95`, the seconds within which 95 % of the
responses must be complete, and `watch_command`, a command that fails if the release is
not healthy. It gets ENVIRONMENT and RELEASE.
"""

import math
import os
import time

from commands import check_command, run
from pages import check_page, find_site
from smoke import NotReady, check_readyz, read_seconds

PAUSE = 1  # seconds from one round of requests to the next
MOST_BAD = 0.02  # of the responses, but one is always allowed
P95 = 2  # seconds
FEWEST = 20  # responses; of fewer, the p95 is the slowest one, so the median counts


def read_settings(environment):
    """Return the seconds to watch; raise ValueError if a setting is not valid."""
    seconds = read_seconds("WATCH_SECONDS", "60", least=0)
    p95 = environment.settings.get("watch_p95", P95)
    if type(p95) not in (int, float) or not p95 > 0:
        raise ValueError(
            f"Set watch_p95 of {environment.name} in deploy/environments.toml to seconds "
            f"such as 0.5, not {p95!r}."
        )
    example = '["python3", "check_errors.py"]'
    check_command(environment, "watch_command", example, runs=seconds > 0)
    return seconds


def watch(environment, release, seconds):
    """Watch an environment; return a sentence with what was seen.

    Raise NotReady if too many responses are bad or slow, and Failed if the command fails.
    """
    seen = watch_pages(environment, release, seconds)
    if command := environment.settings.get("watch_command"):
        os.environ |= {"ENVIRONMENT": environment.name, "RELEASE": release}
        run(*command)
    return f"The watch saw {seen}."


def watch_pages(environment, release, seconds):
    """Request /readyz and the pages each second; return what was seen.

    Raise NotReady as soon as too many responses are bad, or if they were slow.
    """
    pages = ("/readyz", *find_site(environment.url).pages)
    most_bad = max(1, MOST_BAD * seconds * len(pages))
    print(f"Watching {environment.name} for {seconds} s.", flush=True)
    times, bad = [], []
    deadline = time.monotonic() + seconds
    for _ in range(seconds):
        for page in pages:
            begin = time.monotonic()
            if reason := test(environment.url, page, release):
                bad.append(reason)
            times.append(time.monotonic() - begin)
        if len(bad) > most_bad or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    p50, p95 = percentile(times, 50), percentile(times, 95)
    seen = f"{len(times)} responses, {len(bad)} bad, p50 {p50:.2f} s, p95 {p95:.2f} s"
    if len(bad) > max(1, MOST_BAD * len(times)):
        raise NotReady(f"the watch saw {seen}; the last bad one: {bad[-1]}")
    limit = environment.settings.get("watch_p95", P95)
    if (p95 if len(times) >= FEWEST else p50) > limit:
        raise NotReady(f"the watch saw {seen}, which is slower than {limit} s")
    return seen


def test(url, page, release):
    """Request a page once; return why it is bad, or an empty text."""
    if page != "/readyz":
        return check_page(find_site(url), page)
    reason, _ = check_readyz(url, release)
    return reason and f"/readyz: {reason}"


def percentile(times, percent):
    """Return the time within which this percentage of the times are."""
    return sorted(times)[math.ceil(len(times) * percent / 100) - 1]
