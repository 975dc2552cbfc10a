"""Take the picture of the start page in the README: `make picture`."""

import shutil
import sys

from playwright.sync_api import sync_playwright

from start_page.build import PLACE
from tests.support.options import TEMPLATE

PICTURE = TEMPLATE / "docs/start-page.png"
SIZE = {"width": 1080, "height": 620}
CHOICES = (
    "#use_redis=true&use_docker=true&deploy_target=none&file=config/settings/base.py"
)


def main():
    program = shutil.which("chromium")
    if not program:
        sys.exit("Install Chromium (Debian: chromium), then run make again.")
    with sync_playwright() as playwright:
        # Text in shades of grey makes a smaller file.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--disable-lcd-text"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto((PLACE / "index.html").as_uri() + CHOICES)
        page.wait_for_function("globalThis.startPage")
        page.locator("#question-use_celery label").nth(1).click()
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
