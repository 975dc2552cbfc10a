"""GitLab's deploy freeze holds deployments, and no rollback."""

import subprocess

import pytest

from tests.pipelines.readers import gitlab
from tests.pipelines.runners.gitlab import PROGRAM
from tests.support.node import GITLAB_CI_LOCAL, NODE, node_modules

STARTS = {  # when each job of the environments starts
    "deploy-staging": "on_success",
    "rollback-staging": "manual",
    "deploy-production": "manual",
    "rollback-production": "manual",
}


@pytest.fixture(scope="module")
def project(rendered, tmp_path_factory):
    answers = {"use_docker": True, "deploy_target": "kubernetes"}
    rendered = rendered(ci_provider="gitlab", **answers)
    copy = rendered.copy_to(tmp_path_factory.mktemp("freeze") / "project")
    copy.commit()
    return copy


@pytest.mark.parametrize(
    ("frozen", "staging"), [("", "on_success"), ("true", "manual")]
)
def test_freeze_makes_staging_wait_for_a_person(project, frozen, staging):
    program = node_modules(GITLAB_CI_LOCAL) / PROGRAM
    variables = [f"--variable=CI_DEPLOY_FREEZE={frozen}"] * bool(frozen)
    source = "--variable=CI_PIPELINE_SOURCE=push"
    done = project.run_ok(NODE, program, "--list-csv", source, *variables)
    rows = [line.split(";") for line in done.stdout.splitlines()]
    starts = {row[0]: row[2] for row in rows if row[0] in STARTS}
    assert starts == STARTS | {"deploy-staging": staging}


@pytest.mark.parametrize("frozen", ["", "true"])
def test_freeze_refuses_only_production(project, frozen):
    file = gitlab.parse(project)[gitlab.FILE]
    for name in STARTS:
        first = file[name]["script"][0]
        done = subprocess.run(
            ["sh", "-c", first.replace("make tools", "true")],
            env={"CI_DEPLOY_FREEZE": frozen},
            capture_output=True,
            text=True,
        )
        is_refused = bool(frozen) and name == "deploy-production"
        assert done.returncode == (2 if is_refused else 0), done.stderr
        assert ("Start this job after it" in done.stderr) == is_refused
