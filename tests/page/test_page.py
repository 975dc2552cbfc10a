"""The start page, opened from disk in Chromium, shows what Copier renders."""

import difflib
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import copier
import pytest
import yaml

from start_page.build import main, version_of
from start_page.data import contents
from start_page.questions import CHOICES, ORDER, combinations, defaults, key
from start_page.questions import template as template_of
from tests.page.browser import LIMIT, PHONE, axe, choose, fragment
from tests.pipelines.readers import read
from tests.support.options import GROUPS, QUESTIONS, TEMPLATE
from tests.support.project import Project
from tests.support.rendering import files_of, quick_copier, renders

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]

# A project in which each kind of job and choice is shown
MOST = {
    "use_redis": True,
    "use_celery": True,
    "use_docker": True,
    "use_e2e": True,
    "template_updates": "job",
    "deploy_target": "kubernetes",
}
# Return the hash of each file with some answers.
HASHES = """async ([several, source]) => {
  const hash = async (text) => {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return [...new Uint8Array(bytes)].map((it) => it.toString(16).padStart(2, "0")).join("");
  };
  const found = [];
  for (const answers of several) {
    const files = [...startPage.template.project(answers, source)];
    const hashed = files.map(async ([path, text]) => [path, await hash(text)]);
    found.push(Object.fromEntries(await Promise.all(hashed)));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the built page."""
    place = tmp_path_factory.mktemp("page") / "start-page"
    main(["--place", str(place)])
    return place


def numbers(answers):
    """Return answers as the page has them: the number of each choice."""
    every = defaults() | answers
    values = {name: [it.value for it in CHOICES[name]] for name in ORDER}
    return [values[name].index(every[name]) for name in ORDER]


def cover():
    """Return few sets of answers that together have every text of every file."""
    decisions, every = contents().decisions, combinations(frozenset(ORDER))
    draw = random.Random(5)

    def pieces(answers):
        return {
            (path, at, decisions.find(part, answers))
            for path, (exists, _, parts) in contents().files.items()
            if decisions.follow(exists, answers)
            for at, part in enumerate(parts)
        }

    found, seen = [], set()
    parts = [
        (path, at, part, frozenset(ORDER[it] for it in decisions.support(part)))
        for path, (_, _, parts) in contents().files.items()
        for at, part in enumerate(parts)
    ]
    for path, at, part, questions in sorted(parts, key=lambda it: -len(it[3])):
        exists = contents().files[path][0]
        needed = questions | {ORDER[it] for it in decisions.support(exists)}
        for answers in combinations(needed):
            if not decisions.follow(exists, answers):
                continue
            if (path, at, decisions.find(part, answers)) not in seen:
                alike = draw.sample(every, 2000)
                alike = [it for it in alike if key(it, needed) == key(answers, needed)]
                drawn = alike[:8] or [answers]
                found.append(max(drawn, key=lambda it: len(pieces(it) - seen)))
                seen |= pieces(found[-1])
    return found


def test_shown_files_equal_those_that_copier_renders(visit):
    several = cover()
    renders.render(several)
    source = f"_src_path: {renders.template}\n"
    shown = visit().evaluate(HASHES, [list(map(numbers, several)), source])

    assert len(several) > 20
    for answers, files in zip(several, shown, strict=True):
        tree = renders.tree(answers)
        assert files.keys() == tree.keys(), answers
        wrong = [path for path in tree if tree[path][0] != files[path]]
        assert not wrong, answers


def test_page_with_its_data_is_small(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < LIMIT


def test_address_of_the_build_is_in_the_command(chromium, tmp_path):
    main(["--place", str(tmp_path / "page"), "--address", "https://a.b/it's.git"])
    page = chromium.new_page()
    page.goto((tmp_path / "page/index.html").as_uri())
    page.wait_for_function("globalThis.startPage")

    command = page.locator("#command").inner_text()
    assert shlex.split(command)[-2:] == ["https://a.b/it's.git", "my-project"]
    page.close()


def test_page_without_javascript_shows_only_a_command(chromium, tmp_path):
    main(["--place", str(tmp_path / "page"), "--address", "https://a.b/it's.git"])
    page = chromium.new_page(java_script_enabled=False)
    page.goto((tmp_path / "page/index.html").as_uri())

    command = page.locator("noscript code").inner_text()
    assert shlex.split(command)[-2:] == ["https://a.b/it's.git", "my-project"]
    shown = page.locator("main > :visible, form:visible, button:visible")
    assert shown.evaluate_all("all => all.map(it => it.localName)") == ["noscript"]
    page.close()


def test_page_without_data_has_the_questions_and_a_reason(chromium, folder, tmp_path):
    shutil.copy(folder / "index.html", tmp_path)
    page = chromium.new_page()
    page.goto((tmp_path / "index.html").as_uri())

    assert page.locator("fieldset").count() == len(ORDER)
    assert page.get_by_role("radio", checked=True).count() == len(ORDER)
    assert page.get_by_role("status").inner_text() == (
        "The page cannot read its data: "
        "data.js is missing or not complete. Put it next to the page."
    )
    page.close()


def test_every_question_has_the_text_of_copier(visit):
    page = visit()
    legends = page.locator("legend").all_inner_texts()
    labels = page.locator(".choices label > span").all_inner_texts()

    assert page.locator("#questions h3").all_inner_texts() == list(GROUPS)
    assert legends == [f"{QUESTIONS[name]['help']} {name}" for name in ORDER]
    assert labels == [choice.label for name in ORDER for choice in CHOICES[name]]


def refused_by_copier(template, folder, answers):
    """Return why Copier refuses answers, or an empty text."""
    try:
        with quick_copier():
            copier.run_copy(str(template), folder, answers, defaults=True, quiet=True)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("answers", [{}, MOST, {"use_renovate": False}], ids=str)
def test_disabled_choices_are_those_that_copier_refuses(
    visit, bare_template, tmp_path, answers
):
    page = visit(fragment(answers))
    for name in ORDER:
        field = page.locator(f"#question-{name}")
        note = field.locator(".note").inner_text()
        for at, choice in enumerate(CHOICES[name]):
            is_disabled = field.locator("input").nth(at).is_disabled()
            reason = field.locator(".why").nth(at).inner_text()
            if note:
                assert is_disabled, name
                continue
            tried = {
                it: answers[it] for it in answers if it in ORDER[: ORDER.index(name)]
            }
            refused = refused_by_copier(
                bare_template, tmp_path, tried | {name: choice.value}
            )
            assert is_disabled == bool(refused), (name, choice)
            assert reason in refused
            assert bool(reason) == bool(refused)


def test_skipped_question_has_the_reason(visit):
    page = visit()
    note = page.locator("#note-use_celery")

    assert note.inner_text() == "Copier asks this if use_redis is yes"
    choose(page, "use_redis", True)
    assert note.inner_text() == ""
    assert page.locator("#question-use_celery input").first.is_enabled()


def test_choice_that_became_impossible_is_reset_and_announced(visit):
    page = visit(fragment({"use_docker": True, "deploy_target": "fly"}))
    choose(page, "use_docker", False)
    status = page.get_by_role("status").inner_text()

    note = "Fly.io needs Docker. deploy_target is now: Nowhere yet."
    assert status.endswith(f" in all. {note}")
    assert page.locator("#note-deploy_target").inner_text() == note
    assert "use_docker is false, deploy_target is none: " in status
    assert page.locator("#question-deploy_target input").first.is_checked()


def test_last_choice_is_marked_in_tree_and_text(visit):
    before, after = {}, {"use_redis": True}
    renders.render([before, after])
    then, now = renders.tree(before), renders.tree(after)
    page = visit()
    choose(page, "use_redis", True)
    page.get_by_label("Only what the last choice changed").check()
    shown = {
        it.get_attribute("data-path"): it.locator(".mark").inner_text()
        for it in page.locator("#tree button").all()
    }
    expected = dict.fromkeys(now.keys() - then.keys(), "added")
    expected |= dict.fromkeys(then.keys() - now.keys(), "removed")
    both = then.keys() & now.keys()
    expected |= {it: "changed" for it in both if then[it][0] != now[it][0]}

    assert shown == expected
    counts = [[*expected.values()].count(it) for it in ("added", "removed", "changed")]
    sentence = "{} files added, {} removed, {} changed; {} files in all".format(
        *counts, len(now)
    )
    assert sentence in page.get_by_role("status").inner_text()
    page.locator("#tree button", has_text=".env.example").click()
    added = page.locator("#content ins").all_inner_texts()
    assert "REDIS_URL=redis://127.0.0.1:6379/0" in added
    assert page.locator("#content del").count() == 0


def test_removed_file_cannot_be_copied(visit):
    page = visit(fragment({"use_docker": True}, file="Dockerfile"))
    button = page.get_by_role("button", name="Copy file")
    assert button.is_enabled()

    choose(page, "use_docker", False)
    assert page.locator("#file-name").inner_text() == "Dockerfile"
    assert button.is_disabled()


def test_marked_lines_turn_one_text_into_the_other(visit):
    draw, pairs = random.Random(3), []
    texts = [renders.content(it).decode() for it, _ in renders.tree(MOST).values()]
    for text in texts:
        lines = text.splitlines(keepends=True)
        other = [it for it in lines if draw.random() > 0.1]
        other.insert(draw.randrange(len(other) + 1), "new\n")
        pairs.append([text, "".join(other)])
    pairs += [["", "a\nb"], ["a\nb", ""], ["a\nb", "b\na"], ["a", "a\n"], ["", ""]]
    # Too many edits to search for the fewest
    pairs.append(["".join(f"{it} {n}\n" for n in range(4000)) for it in "ab"])
    found = visit().evaluate("pairs => pairs.map(([a, b]) => difference(a, b))", pairs)

    for (before, after), lines in zip(pairs, found, strict=True):
        assert "".join(line for sign, line in lines if sign != "+") == before
        assert "".join(line for sign, line in lines if sign != "-") == after
        kept = sum(sign == " " for sign, _ in lines)
        match = difflib.SequenceMatcher(
            None, before.splitlines(True), after.splitlines(True), autojunk=False
        )
        assert kept >= sum(it.size for it in match.get_matching_blocks())


def run(command, folder):
    """Run a command of the page in a folder, with this environment's Copier instead of uvx."""
    words = shlex.split(command)
    assert words[:2] == ["uvx", "copier"]
    program = Path(sys.executable).with_name("copier")
    subprocess.run([program, *words[2:]], cwd=folder, check=True, capture_output=True)
    return files_of(folder / "my-project")


def test_command_and_data_file_make_the_shown_files(visit, template, tmp_path):
    page = visit()
    for name, value in MOST.items():
        choose(page, name, value)
    place = shutil.copytree(template, tmp_path / "it's")
    page.get_by_label("Address of the template").fill(str(place))
    command = page.locator("#command").inner_text()
    shown = dict(page.evaluate("[...startPage.now]"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download answers.yml").click()
    page.locator("summary", has_text="many projects").click()
    other = page.locator("#data-command").inner_text()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    download.value.save_as(tmp_path / "two/answers.yml")
    made = run(command, tmp_path / "one")

    given = re.findall(r"-d (\w+)=(\w+)", command)
    assert given == [(it, str(MOST[it]).lower()) for it in ORDER if it in MOST]
    assert {name: path.read_bytes().decode() for name, path in made.items()} == shown
    assert "-d " not in other
    again = run(other, tmp_path / "two")
    assert {name: path.read_bytes().decode() for name, path in again.items()} == shown
    stated = yaml.safe_load((tmp_path / "two/answers.yml").read_text())
    assert stated == {it: (defaults() | MOST)[it] for it in stated}


def test_command_names_the_version_that_the_page_shows(visit):
    command = visit().locator("#command").inner_text()

    assert f" --vcs-ref {version_of(TEMPLATE)} " in command


def test_version_is_a_tag_or_a_commit_without_changes(tmp_path):
    project = Project(tmp_path / "template")
    project.path.mkdir()
    assert version_of(project.path) == ""

    (commit,) = project.commit_each("A")
    assert version_of(project.path) == commit[:12]

    project.tag("v1.0.0")
    assert version_of(project.path) == "v1.0.0"

    (project / "NOTES").write_text("changed")
    assert version_of(project.path) == "HEAD"


def test_address_holds_every_choice(visit):
    page = visit()
    for name, value in MOST.items():
        choose(page, name, value)
    page.get_by_role("tab", name="Pipeline").click()
    given = parse_qs(page.url.partition("#")[2])
    again = visit(f"#{page.url.partition('#')[2]}")

    assert {*given} == {*ORDER, "view", "file"}
    assert (
        again.locator("#command").inner_text() == page.locator("#command").inner_text()
    )
    assert again.locator("#pipeline").is_visible()
    page.evaluate("history.back()")
    before = numbers(MOST | {"deploy_target": "none"})
    page.wait_for_function(f"String(startPage.answers) === String({before})")


def test_link_with_answers_that_are_not_taken_says_what_is_shown(visit):
    link = "python_version=3.11&use_docker=TRUE&use_celery=true&deploy_target=fly"
    page = visit(f"#{link}&other=1&file=/etc/passwd")
    status = page.get_by_role("status").inner_text()
    notes = (
        "python_version=3.11 is not a choice. python_version is now: 3.13.",
        "use_celery=true does not fit: Copier asks this if use_redis is yes. "
        "use_celery is now: No.",
        "use_docker=TRUE is not a choice. use_docker is now: No.",
        "Fly.io needs Docker. deploy_target is now: Nowhere yet.",
        "This page has no question other.",
    )

    assert page.evaluate("startPage.answers") == numbers({})
    assert page.locator("#file-name").inner_text() == "README.md"
    assert f" files. {' '.join(notes)} Enter " in status
    assert page.locator("#note-python_version").inner_text() == notes[0]


def test_page_of_one_version_compares_with_the_last_choice_only(visit):
    page = visit("#compare=v1.0.0")

    assert page.get_by_label("Compare with").count() == 0
    assert "This page has no version v1.0.0." in page.get_by_role("status").inner_text()


def test_address_that_begins_with_a_hyphen_is_a_path(visit):
    page = visit()
    page.get_by_label("Address of the template").fill("--trust")

    words = shlex.split(page.locator("#command").inner_text())
    assert words[-2:] == ["./--trust", "my-project"]


def test_address_is_quoted_in_the_answers_file_as_copier_does(visit):
    addresses = ["sp ace", "it's", "a: b", "it's #1", "c:", "~", "~/x", "[::1]:x"]
    addresses += ["../x", ".../x", "git@a.b:c/d", "?", "?x", "true", "123", "1.5", "é"]
    addresses += ["@x", "a\\b", "a,b", "#x", "a#b", '"x"', "--x"]
    page = visit()
    for address in addresses:
        page.get_by_label("Address of the template").fill(address)
        taken, text = page.evaluate(
            "[startPage.address, startPage.now.get('.copier-answers.yml')]"
        )
        line = template_of("{{ it | to_nice_yaml }}").render(it={"_src_path": taken})
        assert line in text.splitlines(keepends=True)


def test_reset_adds_to_the_history_only_if_an_answer_changes(visit):
    page = visit(fragment({"use_redis": True}))
    length = page.evaluate("history.length")
    for _ in range(3):
        page.get_by_role("button", name="Reset to defaults").click()

    assert page.evaluate("history.length") == length + 1


def test_copied_command_without_an_address_needs_one(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    choose(page, "use_redis", True)
    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("Copied the command").wait_for()
    status = page.get_by_role("status").inner_text()
    page.get_by_label("Address of the template").fill("https://example.com/slipway.git")
    page.get_by_role("button", name="Copy command").click()

    assert status == "Copied the command. Replace ADDRESS by the template's address."
    page.get_by_text("Copied the command.", exact=True).wait_for()


def test_keyboard_reaches_everything(visit):
    page = visit()
    press = page.keyboard.press

    def focus(selector):
        """Press Tab until an element has the focus."""
        for _ in range(200):
            if page.evaluate("it => document.activeElement.matches(it)", selector):
                return
            press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    focus("[name=use_redis]")
    press("ArrowRight")
    focus("[name=use_celery]")
    press("ArrowRight")
    assert "use_celery=true" in page.locator("#command").inner_text()
    focus("#tree summary")
    page.evaluate("document.activeElement.parentElement.open = false")
    press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")
    focus("#tree [data-path='config/celery.py']")
    press("Enter")
    assert page.locator("#file-name").inner_text() == "config/celery.py"
    focus("#content")
    page.locator("#tab-files").focus()
    press("ArrowRight")
    assert page.locator("#pipeline").is_visible()
    assert page.evaluate("document.activeElement.id") == "tab-pipeline"
    focus(".scroll")


def test_link_that_skips_the_questions_keeps_the_answers(visit):
    page = visit(fragment(MOST))
    before = page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "start"
    assert page.url == before


def test_phone_shows_what_a_choice_changes_below_the_questions(visit):
    page = visit(viewport=PHONE)
    choose(page, "use_redis", True)
    box = page.locator("#news").bounding_box()

    assert box["y"] + box["height"] == PHONE["height"]
    assert "use_redis is true" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="Show", exact=True).click()
    assert page.locator("#command").bounding_box()["y"] < PHONE["height"] / 2


@pytest.mark.parametrize("view", ["files", "pipeline"])
def test_print_shows_what_the_screen_scrolls(visit, view):
    page = visit(fragment(MOST, view=view, file="pyproject.toml"))
    cut = """[...document.querySelectorAll("body, body *")].filter((it) =>
      getComputedStyle(it).overflowY !== "visible" && it.scrollHeight > it.clientHeight
    ).map((it) => it.id || it.localName)"""
    assert {"questions", "main"} <= {*page.evaluate(cut)}

    page.emulate_media(media="print")
    assert page.evaluate(cut) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(visit, theme, size):
    size = {"viewport": size} if size else {}
    page = visit(color_scheme=theme, **size)
    page.add_script_tag(content=axe())
    for name, value in MOST.items():
        choose(page, name, value)
    for view in ("Files", "Pipeline"):
        page.get_by_role("tab", name=view).click()
        found = page.evaluate("axe.run().then(({violations}) => violations)")
        nodes = [(it["id"], node["html"]) for it in found for node in it["nodes"]]
        assert not nodes
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]


@pytest.mark.parametrize("provider", [it.value for it in CHOICES["ci_provider"]])
def test_pipeline_equals_the_file_of_the_provider(visit, rendered, provider):
    answers = MOST | {"ci_provider": provider}
    page = visit(fragment(answers, view="pipeline"))
    tables = page.locator(".flow table").all()
    shown = [
        {
            row.locator("th").inner_text(): row.locator("td").all_inner_texts()
            for row in table.locator("tbody tr").all()
        }
        for table in tables
    ]
    workflows = read(provider, rendered(**answers))

    assert [{*jobs} for jobs in shown] == [
        {*workflows[name]} for name in ("request", "main", "nightly", "rollback")
    ]
    for jobs, name in zip(
        shown, ("request", "main", "nightly", "rollback"), strict=True
    ):
        for job, (runs, sees, writes, also) in jobs.items():
            real = workflows[name][job]
            assert runs.split(", ") == real.run
            assert (sees == "no secret") == (not real.secrets)
            assert writes.split(", ") == (real.write_permissions or ["none"])
            assert ("waits for an approval" in also) == real.manual
            assert ("only on main" in also) == real.main_only
            assert ("passes if it fails" in also) == real.may_fail
            assert all(need in also for need in real.needs)
    text = "\n".join(rendered(**answers).read(it) for it in rendered(**answers).files())
    named = {it for jobs in shown for row in jobs.values() for it in row[1].split(", ")}
    assert {"KUBECONFIG_CONTENT", "SMOKE_HEADER_STAGING"} <= named
    assert all(it in text for it in named if it.isupper())


def test_picture_draws_each_need_as_an_arrow(visit):
    page = visit(fragment(MOST, view="pipeline"))
    main = page.locator(".flow").nth(1)

    assert main.locator(".gate").inner_text() == "A person\napproves"
    boxes = {it.get_attribute("data-job"): it for it in main.locator(".job").all()}
    needs = {name: it.get_attribute("data-needs") for name, it in boxes.items()}
    assert needs["approve deploy-production"] == "e2e-staging"
    assert needs["deploy-production"] == "approve deploy-production"
    # One line for each need
    assert main.locator("svg path").count() == sum(map(bool, needs.values()))
    edges = {name: it.bounding_box()["x"] for name, it in boxes.items()}
    assert all(edges[need] < edges[name] for name, need in needs.items() if need)
