"""A person on call: from the error of a failed deployment, over the website, to what to do."""

import re

import pytest

from tests.deployment.platforms import PLATFORMS, make_project
from tests.deployment.sites import Sites, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.seconds(20),
    pytest.mark.xdist_group("site"),
]


@pytest.fixture
def platform(rendered, tmp_path):
    """Yield Heroku with a healthy release, whose next one fails to migrate."""
    (tmp_path / "platform").mkdir()
    with serving(Sites()) as sites:
        project = make_project("heroku", rendered, tmp_path / "home/shop", sites)
        platform = PLATFORMS["heroku"](project, tmp_path / "platform", sites)
        platform.run_first()
        yield platform
        platform.stop()


def test_person_on_call_finds_what_to_do(shell, browse, website, platform):
    site = platform.names["staging"]
    terminal = shell(**platform.variables, STAND_IN_FAILS="push-phase")
    terminal.ok("cd shop")
    # The database of the site is down as well.
    platform.serve(site, platform.commits[0], status=503)
    code, output = terminal.run("make deploy ENVIRONMENT=staging")
    assert code == 2, output
    lines = output.splitlines()
    (cause,) = [it for it in lines if "failed: the release phase" in it]
    (state,) = [it for it in lines if "should still be running" in it]

    page = browse(website)
    page.get_by_role("link", name="Troubleshooting").first.click()

    def entry(message):
        """Return the text of the first entry that the page finds for a message."""
        page.get_by_label("Paste a message").fill(message)
        page.locator("#found a").first.click()
        return page.locator("section:target").inner_text()

    assert "heroku releases:output" in entry(cause)
    advice = entry(state)
    assert "make smoke" in advice
    url = re.search(r"http://\S+/my-project-staging", state)[0]
    assert "is not ready" in terminal.run(f"make smoke URL={url}")[1]
    platform.serve(site, platform.commits[0])
    assert "is ready and runs release" in terminal.ok(f"make smoke URL={url}")
    section = re.search('follow "(.*)" in (docs/deployment.md)', advice)
    assert f"# {section[1]}\n" in platform.project.read(section[2])
