"""The pages of the website that are rendered from the template.

Each is a page of a generated project, or a table of what several projects have.
"""

import re

from tests.support.options import FULL, choices, labels
from tests.support.rendering import Rendered, renders

TARGETS = [target for target in choices("deploy_target") if target != "none"]
# A project with every part. The pages of one provider and one target link to each other.
EVERY_PART = FULL | {
    "use_docker": True,
    "use_e2e": True,
    "template_updates": "job",
    "ci_provider": "github",
    "deploy_target": "kubernetes",
}
# Answers that add variables, and their name on the page
VARIANTS = {
    "every project": {},
    "with `use_redis`": {"use_redis": True},
    "with `use_celery`": {"use_redis": True, "use_celery": True},
    "with `use_channels`": {"use_redis": True, "use_channels": True},
    "with a target whose processes lose their files": {"deploy_target": "heroku"},
}
FAILURES = """\
| Failure | Result | Exit code |
| --- | --- | --- |
"""


def rendered_pages():
    """Return each rendered page: its text, its path in a project, and where its links lead.

    The keys are paths in the site; the links of a page lead to a page for each path.
    """
    pages = {}
    for provider in choices("ci_provider"):
        answers = EVERY_PART | {"ci_provider": provider}
        label = labels("ci_provider")[provider]
        pages[f"pipelines/{provider}.md"] = page(label, "docs/pipeline.md", answers)
    pages["deployment/on-call.md"] = on_call()
    for target in TARGETS:
        answers = EVERY_PART | {"deploy_target": target}
        pages[f"deployment/{target}.md"] = page(
            label_of(target), "docs/deployment.md", answers
        )
    for name in ("README", "docs/development", "docs/migrations"):
        title = name.removeprefix("docs/")
        pages[f"project/{title.lower()}.md"] = page(
            title[0].upper() + title[1:], f"{name}.md", EVERY_PART
        )
    pages["project/settings.md"] = settings()
    return pages


def page(title, name, answers):
    """Return a page of a project, with a title of its own and the answers above its text."""
    text = project(**answers).read(name)
    _, _, text = text.partition("\n")
    stated = ", ".join(
        f"`{key}={str(value).lower()}`" for key, value in answers.items()
    )
    note = (
        f":::{{note}}\n`{name}` of a project with {stated}."
        " A project has only the parts that it needs.\n:::\n"
    )
    places = {
        "README.md": "project/readme.md",
        "docs/deployment.md": f"deployment/{answers['deploy_target']}.md",
        "docs/development.md": "project/development.md",
        "docs/migrations.md": "project/migrations.md",
        "docs/pipeline.md": f"pipelines/{answers['ci_provider']}.md",
    }
    return f"# {title}\n\n{note}{text}", name, places


def project(**answers):
    """Return the project of these answers, for reading only."""
    return Rendered(renders, answers, None)


def settings():
    """Return the page of the variables that the settings read, from .env.example."""
    text = (
        "# Settings and variables\n\nThe settings of a project read these variables,"
        " which its `.env.example` lists. The pages about"
        " [deployment](deployment/index.md) state where to set them in production."
        " Development and tests need none; to use a server of your own, copy"
        " its lines of `.env.example` to `.env`.\n\n"
        "| Variables and their examples | What they are | In |\n| --- | --- | --- |\n"
    )
    known = set()
    for when, answers in VARIANTS.items():
        for lines, comment in variables(project(**answers).read(".env.example")):
            new = [line for line in lines if name_of(line) not in known]
            known |= {name_of(line) for line in new}
            if new:
                listed = "<br>".join(f"`{line}`" for line in new)
                text += f"| {listed} | {comment} | {when} |\n"
    return text, "settings.md", {"deployment/index.md": "deployment/index.md"}


def name_of(line):
    """Return the name of the variable that a line sets."""
    return line.partition("=")[0]


def variables(text):
    """Return the lines of each group of variables of .env.example, and its comment.

    A comment is about the lines below it. One without lines introduces the next group, and
    the first one is about the file.
    """
    groups = re.findall(r"^((?:#.*\n)*)((?:[A-Z]\w*=.*\n)+|\n)", text, re.MULTILINE)
    found, intro = [], ""
    for comment, lines in groups[1:]:
        comment = " ".join([intro, *(it.strip("# ") for it in comment.splitlines())])
        intro = comment if lines == "\n" else ""
        if not intro:
            found.append((lines.split(), comment.strip()))
    return found


def on_call():
    """Return the page for a person on call: what a failed deployment leaves."""
    parts = {
        label_of(target): section(project(**EVERY_PART | {"deploy_target": target}))
        for target in TARGETS
    }
    first, *others = parts.values()
    common = [line for line in first if all(line in lines for lines in others)]
    text = (
        "# On call\n\nWhat a failed deployment leaves."
        " [Troubleshooting](troubleshooting.md) explains each message.\n\n"
        f"## Every target\n\n{table(common)}"
    )
    for target, (label, lines) in zip(TARGETS, parts.items(), strict=True):
        own = [line for line in lines if line not in common]
        text += f"\n## {label}\n\n{table(own)}"
        text += f"\nCommands: [Roll back by hand](deployment/{target}.md#roll-back-by-hand)\n"
    places = [f"deployment/{target}.md" for target in TARGETS] + ["troubleshooting.md"]
    return text, "on-call.md", {place: place for place in places}


def section(project):
    """Return the lines about failures of a deployment page, without links in that page."""
    _, _, text = project.read("docs/deployment.md").partition(
        "\n## What happens when it fails\n"
    )
    text = re.sub(r"\[([^]]*)\]\(#[^)]*\)", r"\1", text.partition("\n## ")[0])
    return [line for line in text.splitlines() if line and line not in FAILURES]


def table(lines):
    """Return rows as a table of failures, with the lines of text below it."""
    rows = [line for line in lines if line.startswith("|")]
    texts = [line for line in lines if not line.startswith("|")]
    return FAILURES + "\n".join([*rows, "", *texts]) + "\n"


def label_of(target):
    """Return what the prompt calls a target."""
    return labels("deploy_target")[target].partition(" (")[0]
