import pytest
from playwright.sync_api import sync_playwright

from tests.page.browser import WIDE
from tests.support.machine import find_chromium


@pytest.fixture(scope="module")
def chromium():
    """Yield this machine's Chromium, through Playwright."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, folder):
    """Yield a function that opens the page from disk; then fail for requests and errors.

    The function takes the fragment of the address, and what Playwright has for a new page.
    """
    pages, requests, errors = [], [], []

    def visit(fragment="", **options):
        page = chromium.new_page(**{"viewport": WIDE} | options)
        pages.append(page)
        page.set_default_timeout(10_000)
        page.on("request", lambda it: requests.append(it.url))
        page.on("pageerror", lambda it: errors.append(str(it)))
        page.on("console", lambda it: errors.append(it.text))
        page.goto((folder / "index.html").as_uri() + fragment)
        page.wait_for_function("globalThis.startPage")
        return page

    yield visit
    for page in pages:
        page.close()
    own = {path.as_uri() for path in folder.iterdir()}
    others = {it.partition("#")[0] for it in requests} - own
    assert not {it for it in others if not it.startswith("data:")}
    assert not errors
