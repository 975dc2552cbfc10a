"""The start page marks what differs from an earlier version, as Copier and git find it."""

import re
import shutil
import subprocess

import copier
import pytest
import yaml

from start_page.build import main
from start_page.earlier import read_earlier
from tests.page.browser import LIMIT, PHONE, WIDE, axe, choose, fragment
from tests.support.project import Project
from tests.support.rendering import SOURCES, files_of, quick_copier, renders

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]

EARLIER = "v1.0.0"
# Answers on the page, and those that the earlier version takes
CHOSEN = {"use_redis": True, "use_e2e": True, "python_version": "3.14"}
FLY = {"use_docker": True, "deploy_target": "fly", "ci_provider": "gitlab"}
TAKEN = {"use_redis": True}
SAMPLES = [
    ({}, {}),
    (CHOSEN, TAKEN),
    (FLY, FLY),
]
NOTE = (
    f"{EARLIER} does not ask use_e2e. "
    "Its other answers: python_version=3.13, use_guide=true."
)


@pytest.fixture(scope="module")
def earlier(template, tmp_path_factory):
    """Return a template with one question less and one more, one choice less, and other files."""
    earlier = Project(tmp_path_factory.mktemp("earlier"))
    for name in SOURCES:
        copy = shutil.copytree if (template / name).is_dir() else shutil.copy2
        copy(template / name, earlier / name)
    questions = yaml.safe_load(earlier.read("copier.yml"))
    questions["use_e2e"] |= {"when": False}
    questions["use_guide"] = {"type": "bool", "default": True}
    questions["python_version"]["choices"].remove("3.14")
    (earlier / "copier.yml").write_text(yaml.safe_dump(questions, sort_keys=False))
    guide = "# {{ project_name }}\n{% if use_guide %}\nA guide\n{% endif %}\n"
    (earlier / "template/GUIDE.md.jinja").write_text(guide)
    readme = earlier / "template/README.md.jinja"
    readme.write_text("{% if use_redis %}\nOld\n{% endif %}\n" + readme.read_text())
    (earlier / "template/.editorconfig").unlink()
    return earlier


@pytest.fixture(scope="module")
def repository(earlier, tmp_path_factory):
    """Return a repository with the earlier template as a release, and one with a fault."""
    repository = earlier.copy_to(tmp_path_factory.mktemp("repository") / "slipway")
    repository.commit()
    repository.tag(EARLIER)
    (repository / "template/README.md.jinja").write_text("{% if %}\n")
    repository.commit("Make a mistake")
    repository.tag("v1.0.1")
    return repository


@pytest.fixture(scope="module")
def folder(repository, tmp_path_factory):
    """Return a folder with the page, which can compare with the earlier version."""
    place = tmp_path_factory.mktemp("page") / "start-page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("start_page.build.TEMPLATE", repository.path)
        main(["--place", str(place), "--from", EARLIER])
    return place


@pytest.fixture
def compare(visit):
    """Return a function that opens the page with answers and a comparison."""

    def compare(answers, **options):
        page = visit(fragment(answers, compare=EARLIER), **options)
        page.get_by_text(f"Since {EARLIER}").wait_for()
        return page

    return compare


def made(source, folder, answers):
    """Return the text of each file of a project, with the address that the page has."""
    with quick_copier():
        copier.run_copy(str(source), folder, answers, defaults=True, quiet=True)
    record = folder / ".copier-answers.yml"
    record.write_text(
        re.sub("(?m)^_src_path: .*", "_src_path: ADDRESS", record.read_text())
    )
    return {name: path.read_bytes().decode() for name, path in files_of(folder).items()}


@pytest.mark.parametrize(("answers", "taken"), SAMPLES, ids=["none", "chosen", "fly"])
def test_compared_files_equal_those_that_copier_renders(
    compare, earlier, tmp_path, answers, taken
):
    shown = dict(compare(answers).evaluate("[...startPage.then]"))

    assert shown == made(earlier.path, tmp_path, taken)


def difference(folder, old, new):
    """Return what git finds between two folders: the mark and the changed lines of each file."""
    command = ["git", "diff", "--no-index", "--no-renames", "--unified=0"]
    done = subprocess.run([*command, old, new], cwd=folder, capture_output=True)
    found = {}
    for part in re.split("(?m)^diff --git ", done.stdout.decode())[1:]:
        head, *hunks = re.split(r"(?m)^@@ .*\n", part)
        path = head.split("\n")[0].rpartition(" b/")[2].partition("/")[2]
        created = re.search("(?m)^(new|deleted) file", head)
        mark = (
            {"new": "added", "deleted": "removed"}[created[1]] if created else "changed"
        )
        lines = "".join(hunks).split("\n")
        found[path] = mark, *(
            sorted(it[1:] for it in lines if it[:1] == sign) for sign in "+-"
        )
    return found


def marks_of(page):
    """Return what the page shows of each file: its mark and its changed lines."""
    found = {}
    for file in page.locator("#tree button").all():
        file.click()
        mark = file.locator(".mark").inner_text()
        lines = [
            page.locator(f"#content {it}").all_text_contents() for it in ("ins", "del")
        ]
        found[file.get_attribute("data-path")] = mark, *map(sorted, lines)
    return found


def test_marks_equal_the_difference_that_git_finds(compare, earlier, tmp_path):
    made(earlier.path, tmp_path / "old", TAKEN)
    made(renders.template, tmp_path / "new", CHOSEN)
    found = difference(tmp_path, "old", "new")
    page = compare(CHOSEN)
    page.get_by_label(f"Only what differs from {EARLIER}").check()

    assert marks_of(page) == found
    marks = [mark for mark, *_ in found.values()]
    counts = [marks.count(it) for it in ("added", "removed", "changed")]
    assert all(counts)
    sentence = "{} files added, {} removed, {} changed; ".format(*counts)
    assert sentence in page.get_by_role("status").inner_text()


def test_picked_version_is_loaded_and_in_the_address(visit):
    page = visit(fragment(CHOSEN, file="GUIDE.md"))
    assert page.evaluate("globalThis.SLIPWAY_EARLIER") is None
    assert page.locator("#file-name").inner_text() == "README.md"

    page.get_by_label("Compare with").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_text(f"Since {EARLIER}").wait_for()
    assert page.locator("#compare-note").inner_text() == NOTE
    page.locator("[data-path='GUIDE.md']").click()

    again = visit(f"#{page.url.partition('#')[2]}")
    again.get_by_text(f"Since {EARLIER}").wait_for()
    assert again.locator("#file-name").inner_text() == "GUIDE.md"
    assert again.locator("#compare-note").inner_text() == NOTE

    page.get_by_label("Compare with").select_option("the last choice")
    assert "compare=" not in page.url
    assert page.locator("#tree .mark").count() == 0
    assert page.locator("#compare-note").inner_text() == ""


def test_comparison_stays_when_an_answer_changes(compare):
    page = compare({})
    choose(page, "use_redis", True)

    assert page.get_by_role("status").inner_text().startswith(f"Since {EARLIER}: ")
    page.locator("[data-path='README.md']").click()
    assert page.locator("#content del").all_inner_texts() == ["Old"]
    page.get_by_role("tab", name="Pipeline").click()
    sentence = (
        f"The marks are those of the last choice, not what differs from {EARLIER}."
    )
    assert sentence in page.locator("#pipeline > p").inner_text()


def test_link_with_an_unknown_version_says_so(visit):
    page = visit("#compare=v9")

    assert "This page has no version v9." in page.get_by_role("status").inner_text()
    assert page.get_by_label("Compare with").input_value() == ""


def test_version_without_its_file_is_not_compared(chromium, folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "page")
    (place / f"data-{EARLIER}.js").unlink()
    page = chromium.new_page()
    page.goto((place / "index.html").as_uri() + fragment({}, compare=EARLIER))

    page.get_by_text(
        f"The page cannot read {EARLIER}: data-{EARLIER}.js is missing or not complete. "
        "Put it next to the page."
    ).wait_for()
    assert page.get_by_label("Compare with").input_value() == ""
    page.close()


def test_page_with_an_earlier_version_is_small(folder):
    assert {it.name for it in folder.iterdir()} == {
        "index.html",
        "data.js",
        f"data-{EARLIER}.js",
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) < LIMIT


@pytest.mark.parametrize(
    ("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"]
)
def test_axe_finds_nothing_in_a_comparison(compare, size, theme):
    page = compare(CHOSEN, viewport=size, color_scheme=theme)
    page.add_script_tag(content=axe())

    found = page.evaluate("axe.run().then(({violations}) => violations)")
    assert not [(it["id"], node["html"]) for it in found for node in it["nodes"]]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("v9", "not a valid object name: v9"),
        ("v1.0.1", "jinja2.exceptions.TemplateSyntaxError: Expected an expression, "),
    ],
)
def test_version_that_cannot_be_read_is_refused_in_one_line(
    repository, version, reason
):
    with pytest.raises(SystemExit) as refused:
        read_earlier(repository.path, version)

    sentence = f"The start page cannot compare with {version}: {reason}"
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
