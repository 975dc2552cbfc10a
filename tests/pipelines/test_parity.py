"""Every provider runs the same pipeline: the one that tests/pipelines/model.py defines."""

import re
import sys

import pytest

from tests.deployment.platforms import platform_of
from tests.pipelines.answers import (
    COMBINATIONS,
    EVERY_OPTION,
    KEYS,
    PROVIDERS,
    TARGETS,
    check_pipelines,
    expected_of,
    of_every_provider,
    pipeline_of,
)
from tests.pipelines.model import (
    PIPELINE,
    SEPARATES_CACHES,
    differences,
    expected,
    privileged,
)
from tests.pipelines.readers import READERS, github, parse
from tests.pipelines.workflow_settings import expected_settings
from tests.support.gates import gates
from tests.support.options import REDIS_STATES
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
# Jobs with a secret that no environment of a deployment has
OWN = {"e2e-staging": "e2e", "template-request": "template"}
VARIABLES = "import {target}; print(*{target}.VARIABLES)"


def test_each_provider_has_a_reader():
    assert list(READERS) == PROVIDERS


def test_each_provider_runs_the_same_pipeline(every_pipeline):
    def runs_the_same_pipeline(name, project):
        pipeline = pipeline_of(name, project)
        differing = differences(pipeline, expected_of(name))
        assert not differing, "\n".join(differing)
        assert pipeline == expected_of(name)
        for workflow, jobs in expected_of(name).items():
            found = list(pipeline[workflow])
            assert found == list(jobs), "the order of the jobs differs"

    check_pipelines(every_pipeline, runs_the_same_pipeline, CODE)


def test_no_pull_request_sees_a_secret_or_can_push(every_pipeline):
    def sees_no_secret(name, project):
        pipeline = pipeline_of(name, project)
        assert privileged(pipeline["request"]) == []
        answers = COMBINATIONS[name]
        updates = answers.get("template_updates") == "job"
        assert privileged(pipeline["nightly"]) == ["template-request"] * updates
        deploys = answers["deploy_target"] != "none"
        assert privileged(pipeline["main"]) == (
            ["publish"] * answers["use_docker"]
            + ["deploy-staging"] * deploys
            + ["e2e-staging"] * (deploys and answers.get("use_e2e", False))
            + ["deploy-production"] * deploys
        )

    check_pipelines(every_pipeline, sees_no_secret, CODE)


def test_main_restores_no_cache_that_a_branch_can_write(every_pipeline):
    def restores_none(name, project):
        if COMBINATIONS[name]["ci_provider"] not in SEPARATES_CACHES:
            pipeline = pipeline_of(name, project)
            jobs = [
                it
                for flow in ("main", "rollback", "nightly")
                for it in pipeline[flow].values()
            ]
            assert not any(job.is_cached for job in jobs)

    check_pipelines(every_pipeline, restores_none, CODE)


def test_jobs_see_only_the_secrets_of_their_environment(every_pipeline):
    def sees_only_its_secrets(name, project):
        for jobs in pipeline_of(name, project).values():
            for name, job in jobs.items():
                if name in OWN:
                    assert job.secrets == [OWN[name]]
                elif job.secrets and name != "publish":
                    environment, *others = job.secrets
                    assert name.endswith(f"-{environment}")
                    assert set(others) <= {"registry"}

    check_pipelines(every_pipeline, sees_only_its_secrets, CODE)


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"none"}))
def test_deploy_jobs_pass_the_secrets_that_their_target_reads(rendered, target):
    project = rendered(use_docker=True, deploy_target=target)
    files = parse("github", project)
    jobs = files[github.CHANGE]["jobs"] | files[github.ROLLBACK]["jobs"]
    passed = {
        name: [it for step in job["steps"] for it in github.passed_on(step)]
        for name, job in jobs.items()
        if "environment" in job and name != "approve-production"
    }
    assert passed.keys() == {"deploy-staging", "deploy-production", "rollback"}
    (names,) = {tuple(it) for it in passed.values()}
    code = VARIABLES.format(target=target)
    wanted = project.run_ok("python3", "-B", "-c", code, PYTHONPATH="deploy")
    assert set(wanted.stdout.split()) <= set(names)
    page = project.read("docs/pipeline.md")
    assert all(f"`{name}`" in page for name in names)


def test_servers_pull_with_the_key_of_their_environment(rendered):
    project = rendered(use_docker=True, deploy_target="kamal", **KEYS)
    jobs = parse("github", project)[github.CHANGE]["jobs"]
    for name in ("deploy-staging", "deploy-production"):
        passed = github.step_of(jobs[name], "make deploy")["env"]
        assert (
            passed.items()
            >= {
                "REGISTRY_USER": "${{ vars.REGISTRY_USER }}",
                "REGISTRY_PASSWORD": "${{ secrets.REGISTRY_PASSWORD }}",
            }.items()
        )


@pytest.mark.parametrize("provider", ["github", "gitlab"])
@pytest.mark.parametrize("target", ["none", "fly", "kamal", "kubernetes"])
def test_page_lists_each_key_where_it_is_set(rendered, provider, target):
    answers = {"ci_provider": provider, "use_docker": True, "deploy_target": target}
    page = rendered(**answers, **KEYS).read("docs/pipeline.md")
    words = ("REGISTRY", "REGISTRY_USER", "REGISTRY_PASSWORD", "IMAGE", "can push")
    assert all(word in page for word in words)
    assert ("can only pull" in page) == (target in ("fly", "kamal"))
    assert "ghcr.io" not in page
    assert "token that can push" not in page


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"none"}))
def test_deploy_jobs_clone_the_files_that_their_target_needs(rendered, target):
    project = rendered(use_docker=True, deploy_target=target)
    jobs = parse("github", project)[github.CHANGE]["jobs"]
    needs_files = platform_of(deploy_target=target, use_docker=True).needs_files
    for name in ("deploy-staging", "deploy-production"):
        options = jobs[name]["steps"][0]["with"]
        assert ("filter" not in options) == needs_files


def test_each_change_builds_its_image_once(every_pipeline):
    def builds_once(name, project):
        pipeline = pipeline_of(name, project)
        for workflow, command in (("request", "make image"), ("main", "make publish")):
            commands = [it for job in pipeline[workflow].values() for it in job.run]
            builds = [it for it in commands if it in ("make image", "make publish")]
            assert builds == [command] * COMBINATIONS[name]["use_docker"]

    check_pipelines(every_pipeline, builds_once, CODE)


@of_every_provider
@pytest.mark.parametrize("target", TARGETS)
def test_workflow_settings_are_the_expected_ones(rendered, provider, target):
    answers = {"ci_provider": provider, "use_docker": True, "deploy_target": target}
    files = parse(provider, rendered(**answers))
    assert READERS[provider].workflow_settings(files) == expected_settings(**answers)


@of_every_provider
def test_project_has_only_the_files_of_its_provider(rendered, provider):
    files = rendered(ci_provider=provider).files()
    folders = (".github/", ".gitlab", ".circleci/")
    found = {name for name in files if name.startswith(folders)}
    assert found == set(READERS[provider].FILES)


def test_pipeline_calls_only_existing_make_targets(rendered):
    jobs = [job for workflow in PIPELINE.values() for job in workflow.values()]
    commands = [command for job in jobs for command in job.run]
    called = {re.match("make ([a-z0-9-]+)", command)[1] for command in commands}
    for target in set(TARGETS) - {"none"}:
        project = rendered(**EVERY_OPTION | {"deploy_target": target})
        assert called <= prerequisites(project).keys()


def test_make_ci_runs_the_jobs_lint_and_test(rendered):
    jobs = PIPELINE["main"]
    for answers in REDIS_STATES.values():
        targets = gates(rendered(**answers).read("Makefile"))
        assert [f"make {target}" for target in ["wait", *targets]] == [
            jobs["test"].run[0],
            *jobs["lint"].run,
            *jobs["test"].run[1:],
        ]


def prerequisites(project):
    """Return the prerequisites of each target of the Makefile."""
    rules = re.findall(r"^([a-z0-9-]+): ([^#\n]*)##", project.read("Makefile"), re.M)
    return {target: names.split() for target, names in rules}


def test_default_port_and_user_are_those_of_the_image(rendered):
    settings = rendered().read("config/settings/base.py")
    assert re.findall(r'"POSTGRES_PORT", default=(\d+)', settings) == ["5432"]
    assert re.findall(r'"POSTGRES_USER", default="(\w+)"', settings) == ["postgres"]


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_example_has_every_variable_of_the_pipeline(rendered, answers):
    known = re.findall("^([A-Z_]+)=", rendered(**answers).read(".env.example"), re.M)
    assert expected(**answers)["main"]["test"].variables.keys() <= set(known)
