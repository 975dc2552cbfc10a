"""Free text reaches every file unchanged, or is refused."""

import html

import copier
import pytest
import yaml

from tests.support.project import Project

FREE_TEXT = ["project_name", "project_description", "author_name"]
TEXTS = [
    """O'Reilly "Books" & Söns: #1""",
    "'single' first",
    '"double" first',
    "''' \"\"\" and a backslash \\",
    r"\n \u0041 \x41",
    "# a heading: ${{ github.token }}",
    "{{ 7*7 }} {% raw %} {# a comment",
    "[[ x ]] << y >> $[[ z ]] $(id) `id` $HOME",
    "🚀 👩‍💻 שלום عالم",
    "x" * 200,
    "a  wide   space " * 12,
    "- a dash",
    "% a percent sign",
    "@ an at sign",
    "! a bang",
    "| > & * ]]> <b>&amp;</b>",
    " a space at each end ",
    "yes",
    "null",
    "1.0",
]
REFUSED = {
    "nothing": "",
    "spaces": "   ",
    "a line break": "two\nlines",
    "a final line break": "line\n",
    "a carriage return": "two\rlines",
    "a tab": "a\ttab",
    "a null": "a\0null",
    "an escape": "\x1b[31mred",
    "a next line": "two\x85lines",
    "a line separator": "two\u2028lines",
    "a paragraph separator": "two\u2029lines",
    "half a character": "\udcff",
    "a novel": "x" * 201,
}


def everywhere(text):
    return dict.fromkeys(FREE_TEXT, text)


def contents(project):
    return {name: (project / name).read_bytes() for name in project.files()}


@pytest.fixture(scope="module", params=TEXTS, ids=lambda text: text[:20])
def text(request):
    return request.param


@pytest.fixture(scope="module")
def project(rendered, text):
    return rendered(**everywhere(text))


def test_text_is_unchanged_in_every_file(project, text):
    metadata = project.toml("pyproject.toml")["project"]
    assert metadata["description"] == text
    assert metadata["authors"][0]["name"] == text
    answers = yaml.safe_load(project.read(".copier-answers.yml"))
    assert {name: answers[name] for name in FREE_TEXT} == everywhere(text)
    assert project.read("README.md").startswith(f"# {text}\n\n{text}\n")


def test_text_is_no_code_on_the_landing_page(project, rendered, text):
    page, harmless = (it.read("templates/home.html") for it in (project, rendered()))

    assert f"<h1>{text}</h1>" in html.unescape(page)
    assert [page.count(sign) for sign in "{<"] == [harmless.count(it) for it in "{<"]


def test_text_leaves_every_file_valid(project):
    files = project.files()
    assert ".github/workflows/ci.yml" in files
    for name in files:
        if name.endswith(".py"):
            compile(project.read(name), name, "exec")
        elif name.endswith((".yml", ".yaml")):
            project.yaml(name)
        elif name.endswith(".toml"):
            project.toml(name)


def test_text_is_not_rendered_as_a_template(template, tmp_path):
    text = "{{ 7*7 }} {% raw %} {# ${{ x }}"
    copier.run_copy(
        str(template), tmp_path, everywhere(text), defaults=True, quiet=True
    )
    before = contents(Project(tmp_path))
    copier.run_recopy(tmp_path, defaults=True, overwrite=True, quiet=True)
    assert contents(Project(tmp_path)) == before


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_text_of_several_lines_is_refused(template, tmp_path, text):
    sentence = r"Use one line, 1 to 200 characters\.$"
    with pytest.raises(ValueError, match=sentence):
        copier.run_copy(
            str(template),
            tmp_path / "project",
            {"project_name": text},
            defaults=True,
            quiet=True,
        )
    assert not (tmp_path / "project").exists()
