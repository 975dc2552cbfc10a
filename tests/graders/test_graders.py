"""The graders agree that every generated pipeline is clean, and each of them finds defects."""

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

import pytest

from tests.graders import GRADERS, PIPELINE_FILES, github, gitlab
from tests.graders.circleci import (
    circleci_names,
    circleci_schema,
    circleci_shellcheck,
)
from tests.graders.contents import grade_text, refuse_graded
from tests.graders.github import actionlint, github_schema, workflow_parser, zizmor
from tests.graders.gitlab import gitlab_ci_local, gitlab_schema, gitlab_shellcheck
from tests.support import node
from tests.support.contents import contents
from tests.support.options import FULL
from tests.support.own_job import add_job

GITHUB = """\
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

GITLAB = """\
stages:
  - greet

default:
  before_script:
    - echo begin

.greeting:
  stage: greet
  script:
    - echo hello
    - echo again

one:
  extends: .greeting

two:
  stage: greet
  needs:
    - one
  coverage: '/TOTAL.* ([0-9]+)%/'
  script:
    - !reference [.greeting, script]
    - |
      echo several
      echo lines
"""

CIRCLECI = """\
version: 2.1

parameters:
  nightly:
    type: boolean
    default: false

executors:
  base:
    docker:
      - image: cimg/base:current

commands:
  greet:
    parameters:
      whom:
        type: string
    steps:
      - run: echo << parameters.whom >>
      - run:
          name: Say more
          command: echo again

jobs:
  one:
    executor: base
    steps:
      - checkout
      - greet:
          whom: world
  two:
    executor: base
    steps:
      - greet:
          whom: moon

workflows:
  all:
    when: not pipeline.parameters.nightly
    jobs:
      - one
      - hold:
          type: approval
      - two:
          requires:
            - one
            - hold
"""

CLEAN = {"github": GITHUB, "gitlab": GITLAB, "circleci": CIRCLECI}

of_every_provider = pytest.mark.parametrize(
    ("provider", "grader"),
    [(provider, grader) for provider, found in GRADERS.items() for grader in found],
)
kept = pytest.mark.kept(github.SCRIPT, gitlab.SCRIPT)


@pytest.mark.seconds(60)
@of_every_provider
def test_no_grader_finds_a_defect_in_any_pipeline(
    every_pipeline, tmp_path, provider, grader
):
    owners = contents(every_pipeline)
    pattern = PIPELINE_FILES[provider]
    found = {it: names for it, names in owners.items() if fnmatch(it.path, pattern)}
    assert found
    refuse_graded(grader, found, tmp_path)


@of_every_provider
def test_every_grader_passes_a_pipeline_with_a_new_job(
    rendered, tmp_path, provider, grader
):
    answers = {"ci_provider": provider, "use_docker": True, "deploy_target": "fly"}
    project = rendered(**FULL, **answers).copy_to(tmp_path / "project")
    file = add_job(provider, project)
    assert not grade_text(grader, file.read_text(), file)


@kept
@of_every_provider
def test_every_grader_passes_clean_files(tmp_path, provider, grader):
    files = [write(tmp_path, CLEAN[provider], f"{name}.yml") for name in "ab"]
    assert grader(*files) == []


@kept
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
        (workflow_parser, "hello", "${{ nothing.here }}", "nothing"),
        (workflow_parser, "name: one", "needs: two", "no dependencies"),
        (workflow_parser, "push:", 'schedule: [{cron: "99 * * * *"}]', "cron"),
        (workflow_parser, "Greet", "[", "sufficiently indented"),
        (github_schema, "runs-on", "runs_on", "'runs-on' is a required property"),
        (github_schema, "Greet", "[", "Failed to parse"),
        (gitlab_schema, "needs", "wants", "'wants' was unexpected"),
        (gitlab_schema, ")%/", r")\%/", "is not a 'regex'"),
        (gitlab_schema, "- one", "- [", "Failed to parse"),
        (gitlab_ci_local, "- one", "- none", "needs: [none] for two could not"),
        (
            gitlab_ci_local,
            "extends: .greeting",
            "extends: .none",
            ".none is unspecified",
        ),
        (gitlab_ci_local, "[.greeting, script]", "[.none, script]", ".none"),
        (gitlab_ci_local, "  - greet\n", "  - other\n", "stage:greet not found"),
        (gitlab_ci_local, "two:", "true:", '"true" is a reserved keyword'),
        (
            gitlab_ci_local,
            "coverage:",
            "script: [a]\n  coverage:",
            "duplicated mapping",
        ),
        (
            gitlab_ci_local,
            "two:\n",
            "two:\n  variables: {CI_JOB_ID: 1}\n",
            "overriding",
        ),
        (gitlab_ci_local, "- one", "- [", "YAMLException"),
        (gitlab_shellcheck, "echo begin", "echo $FOO", "default.before_script: Double"),
        (gitlab_shellcheck, "echo again", "echo $FOO", ".greeting.script: Double"),
        (gitlab_shellcheck, "echo lines", "echo $FOO", "two.script: Double"),
        (gitlab_shellcheck, "- one", "- [", "while parsing"),
        (circleci_schema, "executor: base", "executors: base", "not of type"),
        (circleci_schema, "- one", "- [", "Failed to parse"),
        (circleci_names, "- greet:", "- meet:", "no step is called meet"),
        (circleci_names, "whom: world", "who: world", "greet takes no who"),
        (circleci_names, "whom: world", "who: world", "greet requires whom"),
        (circleci_names, "executor: base", "executor: none", "no executor is called"),
        (circleci_names, "- one", "- none", "no job is called none"),
        (circleci_names, "     - one", "     - hold", "no job of all is called one"),
        (
            circleci_names,
            "parameters.whom",
            "parameters.who",
            "parameter is called who",
        ),
        (circleci_names, "s.nightly", "s.daily", "no parameter is called daily"),
        (circleci_names, "- one", "- [", "while parsing"),
        (circleci_shellcheck, "echo <<", "echo $FOO <<", "greet.steps.0.run: Double"),
        (circleci_shellcheck, "echo again", "echo $FOO", "greet.steps.1.run: Double"),
        (circleci_shellcheck, "- one", "- [", "while parsing"),
    ],
)
def test_graders_find_defects(tmp_path, grader, old, new, finding):
    (clean,) = (CLEAN[provider] for provider in GRADERS if grader in GRADERS[provider])
    assert old in clean
    file = write(tmp_path, clean.replace(old, new, 1))
    assert any(finding in found for found in grader(file)), grader(file)


@kept
@pytest.mark.parametrize(
    "excuse",
    [" # zizmor: ignore[excessive-permissions]", "\n# zizmor: ignore"],
)
def test_comments_do_not_suppress_findings(tmp_path, excuse):
    text = GITHUB.replace("permissions: {}", f"permissions: write-all{excuse}")
    assert any(
        "excessive-permissions" in found for found in zizmor(write(tmp_path, text))
    )


@kept
@of_every_provider
def test_graders_find_one_bad_file_among_good_ones(tmp_path, provider, grader):
    good = write(tmp_path, CLEAN[provider], "good.yml")
    bad = write(tmp_path, "[", "bad.yml")
    assert any("bad.yml" in found for found in grader(good, bad))


@kept
@of_every_provider
def test_a_missing_file_is_a_finding(tmp_path, provider, grader):
    assert grader(tmp_path / "missing.yml")


@kept
@pytest.mark.parametrize("grader", [gitlab_shellcheck, circleci_shellcheck])
def test_a_file_without_scripts_is_a_finding(tmp_path, grader):
    assert "no script" in grader(write(tmp_path, "jobs: {}"))[0]


def test_workers_fetch_npm_packages_once(monkeypatch, tmp_path):
    monkeypatch.setattr(node, "TOOLS", tmp_path)
    fetched = []

    def fetch(folder, specs):
        fetched.append(specs)
        (folder / "node_modules").mkdir(parents=True)

    monkeypatch.setattr(node, "fetch", fetch)
    (tmp_path / "npm.draft").mkdir()  # Left by a run that was killed.
    with ThreadPoolExecutor() as pool:
        places = set(pool.map(lambda _: node.node_modules("@a/b@1", "c@2"), range(8)))
    assert places == {tmp_path / "npm-@a-b@1-c@2/node_modules"}
    assert fetched == [("@a/b@1", "c@2")]


def test_a_missing_network_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(node, "TOOLS", tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(RuntimeError, match="^Connect to the network, .*a@1.0.0.*\\.$"):
        node.node_modules("a@1.0.0")
    assert not list(tmp_path.glob("npm-*"))


def write(folder, text, name="pipeline.yml"):
    file = folder / name
    file.write_text(text)
    return file
