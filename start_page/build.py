"""Build the start page: `make start-page` writes it to .cache/start-page."""

import argparse
import base64
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jinja2

from start_page.data import contents
from start_page.earlier import read_earlier
from start_page.questions import CHOICES, ORDER, QUESTIONS
from tests.support.options import GROUPS, TEMPLATE

SOURCES = Path(__file__).parent
PLACE = TEMPLATE / ".cache/start-page"
# A question with choices is a row of short labels, if they fit.
SHORT = 36


def build(place, address="", versions=()):
    """Write the page and its data into a folder; `address` is that of the template.

    The page can compare with these versions: tags, branches or commits.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reading = pool.map(partial(read_earlier, TEMPLATE), versions)
        document = contents().document
        earlier = list(reading)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SOURCES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("page.html")
    text = page.render(
        address=address,
        version=version_of(TEMPLATE),
        others=", ".join(name for name in QUESTIONS if name not in ORDER),
        quoted_address=shlex.quote(address or "ADDRESS"),
        groups=group(map(describe, document["questions"])),
        script=read("page.js"),
        style=read("style.css"),
        versions={version: file_of(version) for version in versions},
    )
    (place / "index.html").write_text(text)
    (place / "data.js").write_text(f'var SLIPWAY = "{pack(document)}";\n')
    for version, found in zip(versions, earlier, strict=True):
        name = f"(globalThis.SLIPWAY_EARLIER ??= {{}})[{json.dumps(version)}]"
        (place / file_of(version)).write_text(f'{name} = "{pack(found)}";\n')


def group(questions):
    """Return the questions below each heading of copier.yml, as Jinja shows them."""
    found = {question["name"]: question for question in questions}
    return {
        heading: [found[name] for name in names if name in found]
        for heading, names in GROUPS.items()
    }


def file_of(version):
    """Return the name of the file with the data of an earlier version."""
    name = re.sub(r"[^\w.-]", "-", version)
    return f"data-{name}.js"


def version_of(folder):
    """Return the tag or the commit of a clone; HEAD if files changed; nothing if it is no clone."""

    def git(*arguments):
        command = ["git", "-C", folder, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.strip()

    if git("status", "--porcelain"):
        return "HEAD"
    tag = git("describe", "--tags", "--exact-match")
    return tag or git("rev-parse", "--short=12", "HEAD")


def describe(question):
    """Return what the page shows of a question before it has read the data."""
    name = question["name"]
    is_short = sum(map(len, question["labels"])) <= SHORT
    help_text = QUESTIONS[name]["help"]
    return question | {
        "help": help_text,
        "is_short": is_short,
        "choices": CHOICES[name],
    }


def read(name):
    """Return the text of one of the page's sources, to be part of the page as it is."""
    text = (SOURCES / name).read_text()
    assert "</s" not in text, f"{name} would end its element"
    return jinja2.utils.markupsafe.Markup(text)


def pack(document):
    """Return a document as JSON, compressed, in base64."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    # Without a time, the same template makes the same bytes.
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def main(arguments=None):
    """Build the page with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="", help="the template's git address")
    parser.add_argument("--from", default="", dest="versions", help="earlier versions")
    parser.add_argument("--place", type=Path, default=PLACE, help="the new folder")
    options = parser.parse_args(arguments)
    versions = dict.fromkeys(options.versions.split())
    build(options.place, options.address, versions)
    for path in sorted(options.place.iterdir()):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
