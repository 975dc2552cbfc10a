import pytest
from graders import GRADERS, actionlint, schema, zizmor
from options import EVERY_COMBINATION, REDIS_STATES

ANSWERS = EVERY_COMBINATION | {
    f"{name}-enforce": answers | {"dependency_audit": "enforce"}
    for name, answers in REDIS_STATES.items()
}

CLEAN = """\
name: Clean

on:
  push:

permissions: {}

concurrency:
  group: clean
  cancel-in-progress: true

jobs:
  one:
    name: one
    runs-on: ubuntu-24.04
    steps:
      - name: Greet
        run: echo hello
"""


def test_no_grader_finds_anything_in_any_rendered_workflow(rendered, tmp_path):
    # Few texts differ: each is graded once, in the name of all combinations that have it.
    names = {}
    for name, answers in ANSWERS.items():
        text = rendered(**answers).read(".github/workflows/ci.yml")
        names.setdefault(text, []).append(name)
    files = {tmp_path / f"{number}.yml": text for number, text in enumerate(names)}
    for file, text in files.items():
        file.write_text(text)
    findings = [finding for grader in GRADERS for finding in grader(*files)]
    assert not findings, {file.name: names[text] for file, text in files.items()}


@pytest.mark.parametrize("grader", GRADERS)
def test_a_clean_workflow_passes(tmp_path, grader):
    assert grader(write(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(
    ("grader", "old", "new", "finding"),
    [
        (actionlint, "hello", "${{ steps.none.outputs.x }}", '"none" is not defined'),
        (actionlint, "echo hello", "echo $FOO", "SC2086"),
        (actionlint, "ubuntu-24.04", "ubuntu-24", "label"),
        (zizmor, "permissions: {}", "permissions: write-all", "excessive-permissions"),
        (zizmor, "hello", "${{ github.head_ref }}", "template-injection"),
        (
            zizmor,
            "name: Greet\n        run: echo hello",
            "uses: actions/checkout@v7",
            "unpinned-uses",
        ),
        (schema, "runs-on", "runs_on", "'runs-on' is a required property"),
        (schema, "Greet", "[", "Failed to parse"),
    ],
)
def test_a_defect_is_found(tmp_path, grader, old, new, finding):
    file = write(tmp_path, CLEAN.replace(old, new, 1))
    assert any(finding in found for found in grader(file)), grader(file)


@pytest.mark.parametrize(
    "excuse",
    [" # zizmor: ignore[excessive-permissions]", "\n# zizmor: ignore"],
)
def test_no_comment_excuses_a_defect(tmp_path, excuse):
    text = CLEAN.replace("permissions: {}", f"permissions: write-all{excuse}")
    assert any(
        "excessive-permissions" in found for found in zizmor(write(tmp_path, text))
    )


@pytest.mark.parametrize("grader", GRADERS)
def test_a_missing_file_is_a_finding(tmp_path, grader):
    assert grader(tmp_path / "missing.yml")


def write(folder, text):
    file = folder / "workflow.yml"
    file.write_text(text)
    return file
