"""Build the website from docs/: `make docs`.

The pages are those of docs/, the changelog, and pages that tests/maintenance/website_pages.py
renders from the template, so that no fact is written twice. docs/README.md lists the pages;
its sections are the site's. Sphinx fails for a broken link and for a page that no section
lists.
"""

import base64
import hashlib
import html
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from tests.maintenance.questions import PAGE as QUESTIONS_PAGE
from tests.maintenance.questions import with_tables
from tests.maintenance.website_pages import rendered_pages
from tests.support.node import NODE, NPM, TOOLS
from tests.support.options import TEMPLATE
from tests.support.tracked import tracked

SITE = TEMPLATE / ".cache/site"
INDEX = "docs/README.md"
# Draws the diagrams in the browser. Its file needs none of the package's dependencies.
MERMAID = "12.3.0"
MERMAID_HASH = "sha512-4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw=="
# Finds the entry of a message, which has words that no search index knows
FIND = Path(__file__).with_name("find_message.js")
# Otherwise the id of a diagram is the time, and two of one millisecond are drawn as one.
DRAW = "mermaid.initialize({deterministicIds: true});"
# A relative link: its file and its anchor
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)")
STYLE = """
table { font-size: 0.9rem; }
.bd-main .bd-content .bd-article-container { max-width: 64em; }
td code { overflow-wrap: anywhere; white-space: normal; }
h1 { font-size: clamp(1.75rem, 8vw, 2.5rem); }
h3 { font-size: 1.15rem; overflow-wrap: anywhere; }
"""
CONFIGURATION = {
    "project": "Slipway",
    "extensions": ["myst_parser", "tests.maintenance.website"],
    "html_theme": "pydata_sphinx_theme",
    "html_title": "Slipway",
    "html_show_sourcelink": False,
    "html_copy_source": False,
    "html_theme_options": {
        "header_links_before_dropdown": 8,
        "navbar_persistent": ["search-button"],
        # Wide tables get the place of the sidebar.
        "secondary_sidebar_items": {
            "**": ["page-toc"],
            **dict.fromkeys(
                ["claims", "comparison", "contribute", "deployment-cases"], []
            ),
        },
        "footer_start": [],
        "footer_end": [],
    },
    "html_sidebars": {"index": []},
    "html_static_path": ["_static"],
    "html_css_files": ["site.css"],
    "exclude_patterns": ["_static"],
    # The quotes of a message stay as a person copies them.
    "smartquotes": False,
    "myst_enable_extensions": ["colon_fence"],
    "myst_fence_as_directive": ["mermaid"],
    "myst_heading_anchors": 4,
}


def main():
    QUESTIONS_PAGE.write_text(with_tables(QUESTIONS_PAGE.read_text()))
    build(SITE, pages())
    print(f"Open {SITE / 'index.html'}")


def build(folder, texts):
    """Build the site of these pages into a folder.

    Raises SystemExit with all broken links and unlisted pages if there are any.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary, docutils_namespace():
        sources = Path(temporary, "sources")
        files = {"_static/site.css": STYLE, **texts}
        for name, content in files.items():
            path = sources / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        shutil.copy(mermaid(), sources / "_static/mermaid.min.js")
        shutil.copy(FIND, sources / "_static")
        warnings = io.StringIO()
        app = Sphinx(
            srcdir=sources,
            confdir=None,
            outdir=folder,
            doctreedir=Path(temporary, "doctrees"),
            buildername="html",
            confoverrides=CONFIGURATION,
            status=None,
            warning=warnings,
        )
        app.build()
    if found := re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()):
        advice = "docs/README.md lists the pages of the site."
        sys.exit(f"{found.replace(f'{sources}/', '').strip()}\n{advice}")


def pages():
    """Return the text of each page of the site, by its path there, and the images."""
    rendered = rendered_pages()
    written = {name: TEMPLATE / name for name in tracked("docs/*.md", "CHANGELOG.md")}
    images = {name: TEMPLATE / name for name in tracked("docs/*.png", "docs/*.svg")}
    places = {name: place_of(name) for name in (*written, *images)}
    places["docs/decisions"] = "decisions/index.md"
    texts = {
        places[name]: relink(path.read_text(), name, places)
        for name, path in written.items()
    }
    for place, (text, origin, others) in rendered.items():
        texts[place] = relink(text, origin, others, place)
    texts |= decisions(texts)
    texts |= sections(texts.pop("index.md"), [*texts], rendered)
    return texts | {places[name]: path.read_bytes() for name, path in images.items()}


def place_of(name):
    """Return where a page of the repository is in the site."""
    if name == INDEX:
        return "index.md"
    return name.removeprefix("docs/").replace("CHANGELOG", "changelog")


def relink(text, origin, places, place=None):
    """Return the text of a page with links that lead to the pages of the site.

    `places` has the page for each path that a link of `origin` can name. Other links stay
    as they are, and Sphinx then reports them.
    """
    folder = os.path.dirname(place or places[origin])

    def relinked(link):
        target = os.path.normpath(os.path.join(os.path.dirname(origin), link[1]))
        if target not in places:
            return link[0]
        return f"]({os.path.relpath(places[target], folder or '.')}{link[2] or ''})"

    return LINK.sub(relinked, text)


def decisions(texts):
    """Return the decisions, and their index.

    A search finds only their titles, or they would hide the manuals.
    """
    names = sorted(name for name in texts if name.startswith("decisions/"))
    rows = [
        f"| [{number}]({os.path.basename(name)}) | {title} | {date} |"
        for name in names
        for number, title, date in re.findall(
            r"\A# (\d+)\. (.*)\n\n([\d-]+)", texts[name]
        )
    ]
    table = ["| | Decision | Date |", "| --- | --- | --- |", *rows]
    text = "# Decisions\n\nChoices that a reader might otherwise reverse, and why.\n\n"
    text += "\n".join(table) + toctree([os.path.basename(name) for name in names])
    found = {name: f"---\nnosearch: true\n---\n\n{texts[name]}" for name in names}
    return found | {"decisions/index.md": text}


def sections(index, known, rendered):
    """Return the home page, and the page of each section of docs/README.md.

    A section lists the pages that it links to, and the rendered pages of its folder.
    """
    intro, *parts = re.split(r"^## ", index, flags=re.MULTILINE)
    found, names = {}, []
    for part in parts:
        title, _, text = part.partition("\n")
        name = title.lower().replace(" ", "-")
        own = [place for place in rendered if place.startswith(f"{name}/")]
        listed = [
            f"- [{re.match('# (.*)', rendered[place][0])[1]}]({place})" for place in own
        ]
        text = text.strip() + "\n" + "\n".join(listed) + "\n"
        links = re.findall(r"^- \[[^]]*\]\(([^)]+)\)", text, re.MULTILINE)
        names.append(f"{name}/index.md")
        found[names[-1]] = (
            f"# {title}\n\n"
            + relink(text, "index.md", {place: place for place in known}, names[-1])
            + toctree([f"/{link}" for link in links])
        )
        intro += f"## [{title}]({names[-1]})\n\n{text}\n"
    return found | {"index.md": intro + toctree(names)}


def toctree(names):
    """Return a list of pages for the site's navigation, which is not shown on the page."""
    return "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"


def setup(app):
    """Let Sphinx keep diagrams as text that Mermaid draws, and load scripts."""
    app.add_directive("mermaid", Diagram)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True}


class Diagram(Directive):
    """A diagram of Mermaid, as GitHub draws it too."""

    has_content = True

    def run(self):
        text = html.escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


def add_scripts(app, pagename, templatename, context, doctree):
    """Load Mermaid on the pages that have a diagram, and a search in Troubleshooting."""
    if pagename == "troubleshooting":
        app.add_js_file(FIND.name, loading_method="defer")
    if '<pre class="mermaid">' in context.get("body", ""):
        app.add_js_file("mermaid.min.js", priority=900)
        app.add_js_file(None, body=DRAW, priority=901)


def mermaid():
    """Return the file of Mermaid; fetch it if it is missing, and check its hash."""
    place = TOOLS / f"mermaid-{MERMAID}.min.js"
    if not place.exists():
        TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            command = [NODE, NPM, "pack", "--silent", f"mermaid@{MERMAID}"]
            command.append(f"--cache={folder}/cache")
            done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL)
            if done.returncode:
                sys.exit("Connect to the network: npm fetched no Mermaid.")
            (archive,) = Path(folder).glob("*.tgz")
            found = hashlib.sha512(archive.read_bytes()).digest()
            if f"sha512-{base64.b64encode(found).decode()}" != MERMAID_HASH:
                sys.exit(f"The downloaded Mermaid {MERMAID} is not the pinned one.")
            with tarfile.open(archive) as files:
                content = files.extractfile("package/dist/mermaid.min.js").read()
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(place)
    return place


if __name__ == "__main__":
    main()
