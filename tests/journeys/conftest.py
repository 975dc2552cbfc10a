import shutil
import warnings

import pytest
from playwright.sync_api import sync_playwright

from tests.maintenance.website import build, pages
from tests.support.machine import find_chromium
from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.support.terminal import Shell

IDENTITY = "[user]\n\tname = Ann\n\temail = ann@example.com\n[core]\n\tpager = cat\n"


@pytest.fixture
def slipway(template, tmp_path):
    """Return the repository of the template, with one release."""
    repository = Project(shutil.copytree(template, tmp_path / "repository"))
    repository.commit()
    repository.tag("v1.0.0")
    return repository


@pytest.fixture
def shell(tmp_path):
    """Yield a function that opens a shell in the folder `home`, as a person has one."""
    (tmp_path / "home").mkdir()
    (tmp_path / "gitconfig").write_text(IDENTITY)
    # uvx takes the newest Copier, which may differ from one day to the next.
    pinned = (TEMPLATE / "requirements-dev.txt").read_text()
    line = next(it for it in pinned.splitlines() if it.startswith("copier=="))
    (tmp_path / "constraints.txt").write_text(line.removesuffix("\\"))
    opened = []

    def shell(**variables):
        variables |= {
            "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
            "UV_CONSTRAINT": str(tmp_path / "constraints.txt"),
        }
        opened.append(Shell(tmp_path / "home", **variables))
        return opened[-1]

    yield shell
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def website(tmp_path_factory):
    """Return the address of the website that `make docs` builds."""
    folder = tmp_path_factory.mktemp("website") / "site"
    with warnings.catch_warnings():
        # Sphinx 10 still has what the parser uses.
        warnings.filterwarnings("ignore", ".*MystReferenceResolver.app")
        build(folder, pages())
    return (folder / "index.html").as_uri()


@pytest.fixture
def browse():
    """Yield a function that opens an address in Chromium and returns the page."""
    with sync_playwright() as playwright:
        program = find_chromium()
        browser = playwright.chromium.launch(executable_path=program)

        def browse(address):
            page = browser.new_page(viewport={"width": 1360, "height": 900})
            page.set_default_timeout(20_000)
            page.goto(address)
            return page

        yield browse
        browser.close()
