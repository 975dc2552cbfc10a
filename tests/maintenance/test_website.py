"""The website has each page, no broken link, and no request to another site."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import sync_playwright

from tests.maintenance import questions, website
from tests.pipelines.model import PIPELINE
from tests.support.machine import find_chromium
from tests.support.options import QUESTIONS, TEMPLATE, choices
from tests.support.tracked import tracked

# Sphinx 10 still has what the parser uses.
pytestmark = pytest.mark.filterwarnings("ignore:.*MystReferenceResolver.app")
HOME = "# Home\n\n## A part\n\nText\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    website.build(folder, website.pages())
    return folder


def pages_of(site):
    """Return the text of each page of the site, by its path."""
    pages = site.rglob("*.html")
    return {str(page.relative_to(site)): page.read_text() for page in pages}


def test_tables_of_questions_are_up_to_date():
    page = questions.PAGE.read_text()

    assert questions.with_tables(page) == page, "run make docs"


def test_each_question_states_its_effect():
    effects = dict(questions.ROW.findall(questions.PAGE.read_text()))

    assert effects.keys() == QUESTIONS.keys()
    assert all(effects.values())


def test_site_has_every_page_of_the_repository(site):
    names = [name for name in tracked("docs/*.md") if name != website.INDEX]

    assert len(names) > 40
    for name in [*names, "docs/changelog.md"]:
        assert (site / name.removeprefix("docs/")).with_suffix(".html").is_file(), name


def test_search_finds_manuals_and_only_the_titles_of_decisions(site):
    text = (site / "searchindex.js").read_text()
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found = [index["docnames"][number] for number in index["terms"]["deploy"]]

    assert "deployment/on-call" in found
    assert [name for name in found if re.match(r"decisions/\d", name)] == []


def test_site_has_a_page_for_each_provider_and_target(site):
    targets = [name for name in choices("deploy_target") if name != "none"]

    for name in choices("ci_provider"):
        assert (site / f"pipelines/{name}.html").is_file()
    for name in targets:
        assert (site / f"deployment/{name}.html").is_file()


def test_rendered_page_states_its_answers(site):
    page = (site / "deployment/render.html").read_text()

    assert "deploy_target=render" in page
    assert "Apply the blueprint" in page or "render.yaml" in page


def test_page_of_settings_lists_each_variable(site):
    page = (site / "project/settings.html").read_text()
    example = (TEMPLATE / "template/.env.example.jinja").read_text()
    names = re.findall(r"^([A-Z]\w+)=", example, re.MULTILINE)

    assert len(names) > 30
    for name in [*names, "REDIS_URL", "CELERY_BROKER_URL"]:
        assert page.count(f'<span class="pre">{name}=') == 1, name


def test_page_for_on_call_has_each_failure_once(site):
    page = (site / "deployment/on-call.html").read_text()

    assert page.count("nothing is changed; the message names the commit") == 2
    for own in ("a machine does not become ready", "the release phase", "in the Job"):
        assert page.count(own) >= 1
    assert 'href="fly.html#roll-back-by-hand"' in page


def test_site_requests_nothing_from_other_sites(site):
    loaded = r'<(?:script|img|iframe)[^>]* src="([^"]+)"|<link[^>]* href="([^"]+)"'
    for name, text in pages_of(site).items():
        found = {a or b for a, b in re.findall(loaded, text)}
        assert not [it for it in found if re.match("https?:|//", it)], name
    for sheet in site.rglob("*.css"):
        urls = re.findall(
            r"(?:url\(|@import )['\"]?((?:https?:)?//[^)'\"]+)", sheet.read_text()
        )
        assert not urls, sheet


def test_architecture_draws_the_pipeline():
    page = (TEMPLATE / "docs/architecture.md").read_text()
    groups = re.findall(r"^  subgraph (\w+).*?\n(.*?)^  end", page, re.M | re.S)
    drawn = {}
    for workflow, text in groups:
        boxes = re.findall(r'([\w-]+)(\(?)\["([\w-]+)"\]', text)
        plain = re.sub(r"\(?\[.*?\]\)?", "", text)
        arrows = re.findall(r"([\w-]+) --> ([\w-]+)", plain)
        assert all(name == f"{workflow}-{shown}" for name, _, shown in boxes)
        drawn[workflow] = {
            shown: (
                {
                    one.removeprefix(f"{workflow}-")
                    for one, end in arrows
                    if end == name
                },
                bool(is_manual),
            )
            for name, is_manual, shown in boxes
        }

    assert drawn == {
        workflow: {name: ({*job.needs}, job.manual) for name, job in jobs.items()}
        for workflow, jobs in PIPELINE.items()
    }


def test_only_pages_with_a_diagram_load_mermaid(site):
    for name, text in pages_of(site).items():
        has_diagram = '<pre class="mermaid">' in text
        assert has_diagram == ("mermaid.min.js" in text), name


def test_browser_draws_each_diagram(site, tmp_path):
    chromium = find_chromium()
    diagrams = [
        diagram
        for text in pages_of(site).values()
        for diagram in re.findall('<pre class="mermaid">.*?</pre>', text, re.DOTALL)
    ]
    page = tmp_path / "page.html"
    script = f'<script src="file://{site}/_static/mermaid.min.js"></script>'
    script += f"<script>{website.DRAW}</script>"
    page.write_text("\n".join(diagrams) + script)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=10000"]
    drawn = subprocess.run(
        [*command, "--dump-dom", f"file://{page}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    ids = re.findall(
        '<pre class="mermaid" data-processed="true"><svg id="(.*?)"', drawn
    )
    assert len(set(ids)) == len(diagrams) > 2
    assert "Syntax error" not in drawn


@pytest.fixture(scope="module")
def troubleshooting(site):
    """Yield the page "Troubleshooting", opened from disk in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium())
        page = browser.new_page()
        page.goto(f"file://{site}/troubleshooting.html")
        yield page
        browser.close()


@pytest.mark.parametrize(
    ("message", "heading"),
    [
        (
            "Refusing to deploy 1f3a to production: it is older than 9c2b, which runs "
            "there. To roll production back, run `make rollback`. To deploy the older "
            "commit anyway, set ALLOW_OLDER=yes. Nothing was changed.",
            "Refusing to deploy … to …: it is older than …, which runs there",
        ),
        (
            "https://example.com was not ready after 120 s: it responds with 502.",
            "… was not ready after … s: ….",
        ),
        (
            "blog.0002_rename is not applied: it got no lock within lock_timeout. End",
            "…: it got no lock within lock_timeout",
        ),
        ("checksum MISMATCH", "Checksum mismatch: the downloaded … is not the pinned"),
    ],
)
def test_pasted_message_leads_to_its_entry(troubleshooting, message, heading):
    troubleshooting.get_by_label("Paste a message").fill(message)
    troubleshooting.locator("#found a").first.click()

    target = troubleshooting.locator("section:target > h3")
    assert target.inner_text().startswith(heading)


def test_each_heading_is_found_by_its_message(troubleshooting):
    page = (TEMPLATE / "docs/troubleshooting.md").read_text()
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    messages = [heading.replace("…", "a thing") for heading in headings]
    found = troubleshooting.evaluate(
        "messages => messages.map(it => findMessage(it).map(entry => entry.title))",
        messages,
    )

    assert [titles[:1] for titles in found] == [
        [it.replace("`", "")] for it in headings
    ]


def test_text_of_no_message_has_no_entry(troubleshooting):
    troubleshooting.get_by_label("Paste a message").fill("This is no message.")

    assert (
        troubleshooting.locator("#found").inner_text() == "No entry has this message."
    )


@pytest.mark.parametrize(
    ("pages", "fault"),
    [
        ({"index.md": f"{HOME}\n[x](other.md)\n"}, "'other.md'"),
        ({"index.md": f"{HOME}\n[x](#another-part)\n"}, "'another-part'"),
        ({"index.md": HOME, "lost.md": "# Lost\n"}, "lost.md: WARNING: document isn't"),
    ],
)
def test_fault_of_a_page_fails_the_build(tmp_path, pages, fault):
    with pytest.raises(SystemExit, match=re.escape(fault)):
        website.build(tmp_path / "site", pages)


def test_page_without_a_fault_is_built(tmp_path):
    website.build(tmp_path / "site", {"index.md": f"{HOME}\n[x](#a-part)\n"})

    assert (tmp_path / "site/index.html").is_file()


def test_other_mermaid_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(website, "TOOLS", tmp_path)
    monkeypatch.setattr(website, "MERMAID_HASH", "sha512-other")

    with pytest.raises(SystemExit, match="is not the pinned one"):
        website.mermaid()
    assert not list(tmp_path.iterdir())
