"""Wait until a URL is ready, and runs the expected release.

python3 deploy/smoke.py URL [RELEASE]

It is ready when /readyz and the pages of deploy/pages.py are, several times in a row.

Exit codes:
0: the URL is ready
1: it is not, after $SMOKE_SECONDS (120 by default)
2: an argument or a variable is not valid
"""

import json
import os
import sys
import time

from pages import TIMEOUT, check_page, fetch, find_site

PAUSE = 1  # seconds after a bad test
SHORTEST = 1  # seconds for a request, also if less than that is left
IN_A_ROW = 3  # good tests, because some processes may be broken
STATUSES = (200, 503)  # of /readyz: ready or not
REFUSALS = (401, 403)  # of what stands in front of the site, such as a sign-on
FORMAT_ERRORS = (ValueError, TypeError, KeyError, AttributeError)


class NotReady(Exception):
    """The URL was not ready in time; the message has the last reason."""


def main():
    url, release, *others = sys.argv[1:] + [""] * 2
    if not url or any(others):
        sys.exit(reject("Usage: make smoke URL=https://example.com [RELEASE=commit]"))
    try:
        seconds = read_seconds()
        find_site(url)
    except ValueError as error:
        sys.exit(reject(error))
    try:
        found = wait(url, release, seconds=seconds)
    except NotReady as error:
        sys.exit(str(error))
    print(f"{url} is ready and runs release {found}.")


def reject(reason):
    print(reason, file=sys.stderr)
    return 2


def read_seconds(name="SMOKE_SECONDS", default="120", least=1):
    text = os.environ.get(name) or default
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"Set {name} to a number of seconds, not {text}.")
    return int(text)


def wait(url, release="", *, other_than="", seconds, test=None):
    """Wait until the URL is ready; return the id of its release.

    `release` is the expected release, `other_than` one that must be gone. `test` is
    `check`, unless it is `check_readyz`. Raise NotReady after `seconds`.
    """
    test = test or check
    deadline = time.monotonic() + seconds
    seen, good = None, 0
    while True:
        # A last request without time would hide the real reason.
        left = TIMEOUT if good else max(SHORTEST, deadline - time.monotonic())
        reason, found = test(url, release, other_than, left)
        good = 0 if reason else good + 1
        if good == IN_A_ROW:
            return found
        if reason and reason != seen:
            print(f"{url}: {reason}", flush=True)
            seen = reason
        # The tests after the first good one may take longer.
        if reason and time.monotonic() + PAUSE > deadline:
            raise NotReady(f"{url} was not ready after {seconds} s: {reason}.")
        if reason:
            time.sleep(PAUSE)


def check(url, release, other_than="", seconds=TIMEOUT):
    """Test a URL once; return why it is not ready, or "", and its release."""
    site = find_site(url)
    reason, found = check_readyz(url, release, other_than, seconds)
    for page in site.pages:
        if not reason and (broken := check_page(site, page, seconds)):
            reason = f"release {found} runs, but {broken}"
    return reason, found


def check_readyz(url, release, other_than="", seconds=TIMEOUT):
    """Request /readyz once; return why the site is not ready, or "", and its release."""
    response = fetch(find_site(url), "/readyz", seconds)
    status = response.status
    if response.error:
        return response.error, ""
    if 300 <= status < 400:
        return f"it redirects ({status}), which /readyz never does", ""
    if status in REFUSALS:
        return f'it responds with {status}: see "Smoke test" in docs/deployment.md', ""
    if status not in STATUSES:
        return f"it responds with {status}", ""
    try:
        found, failed = read_body(response.body)
    except FORMAT_ERRORS:
        return f"it responds with {status}, but not in the format of /readyz", ""
    if status == 503:
        return f"release {found} is not ready: {', '.join(failed)}", found
    if release and found != release:
        return f"it runs release {found}, not {release}", found
    if other_than and found == other_than:
        return f"it still runs release {found}", found
    return "", found


def read_body(body):
    """Return the release, and the names of its failed checks."""
    data = json.loads(body)
    checks = data["checks"].items()
    return str(data["release"]), [name for name, result in checks if result != "ok"]


def find_refusal(url):
    """Return the status with which something in front of the site refuses, or 0."""
    status = fetch(find_site(url), "/readyz").status
    return status if status in REFUSALS else 0


def find_release(url):
    """Return the id of the release that responds, ready or not, or an empty text."""
    response = fetch(find_site(url), "/readyz")
    try:
        return read_body(response.body)[0] if response.status in STATUSES else ""
    except FORMAT_ERRORS:
        return ""


if __name__ == "__main__":
    main()
