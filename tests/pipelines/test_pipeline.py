import re

import pytest

from tests.pipelines.model import (
    PINNED_IMAGE,
    PINNED_NODE,
    PINNED_UV,
    PIPELINE,
    expected,
)
from tests.pipelines.readers import READERS, circleci, github, gitlab
from tests.support.options import REDIS_STATES, TEMPLATE, choices, combinations

PROVIDERS = choices("ci_provider")
COMBINATIONS = combinations("ci_provider", "redis", "dependency_audit", "use_docker")
COMBINATIONS |= combinations(
    "ci_provider", "dependency_audit", "use_docker", "deploy_target"
)
FULL = REDIS_STATES["redis-celery-channels"]
FULL = FULL | {"use_docker": True, "deploy_target": "kubernetes"}
# Around the jobs: when they run, and what they may do unless they say so. A request's run
# gives way to a newer push; a run of the main branch never does.
FRAMES = {
    "github": {
        github.CHANGE: {
            "name": "CI",
            "on": {"push": {"branches": ["main"]}, "pull_request": ""},
            "permissions": {},
            "concurrency": {
                "group": "ci-${{ github.event.pull_request.number || github.run_id }}",
                "cancel-in-progress": "true",
            },
        },
        github.NIGHTLY: {
            "name": "Nightly",
            "on": {"schedule": [{"cron": "23 3 * * *"}], "workflow_dispatch": ""},
            "permissions": {},
            "concurrency": {"group": "nightly", "cancel-in-progress": "false"},
        },
    },
    "gitlab": {
        "workflow": {
            "rules": [
                {
                    "if": '$CI_PIPELINE_SOURCE == "merge_request_event"',
                    "auto_cancel": {"on_new_commit": "interruptible"},
                },
                {
                    "if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
                    "auto_cancel": {"on_new_commit": "none"},
                },
            ]
        },
        "stages": ["lint", "test", "audit"],
        "default": {
            "image": "ghcr.io/astral-sh/uv:0.13.9-python3.13-trixie",
            "timeout": "20 minutes",
            "interruptible": "true",
            "cache": gitlab.CACHE,
        },
        "variables": {
            "FF_GIT_URLS_WITHOUT_TOKENS": "true",
            "UV_CACHE_DIR": "$CI_PROJECT_DIR/.cache/uv",
        },
    },
    # CircleCI takes triggers and cancelling from the project's settings: the README.
    "circleci": {
        "version": "2.1",
        "parameters": {
            "run": {
                "description": "Which workflow to run. The schedule sets this.",
                "type": "enum",
                "enum": ["ci", "nightly"],
                "default": "ci",
            }
        },
    },
}
BY_HAND = {
    "name": "Rollback",
    "on": {
        "workflow_dispatch": {
            "inputs": {
                "environment": {
                    "description": "Which environment goes back to the release before?",
                    "type": "choice",
                    "options": ["staging", "production"],
                    "required": "true",
                }
            }
        }
    },
    "permissions": {},
}


def parse(project, provider):
    return READERS[provider].parse(project)


def test_there_is_a_reader_for_each_provider():
    assert list(READERS) == PROVIDERS


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
def test_each_provider_runs_the_same_pipeline(rendered, answers):
    reader = READERS[answers["ci_provider"]]
    pipeline = reader.read(reader.parse(rendered(**answers)))
    assert pipeline == expected(**answers)
    for workflow, jobs in expected(**answers).items():
        assert list(pipeline[workflow]) == list(jobs), "the jobs stand in another order"


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
def test_no_job_that_a_request_reaches_sees_a_secret_or_can_push(rendered, answers):
    reader = READERS[answers["ci_provider"]]
    pipeline = reader.read(reader.parse(rendered(**answers)))
    assert powerful(pipeline["request"]) == []
    assert powerful(pipeline["nightly"]) == []
    delivers = answers.get("deploy_target", "none") != "none"
    assert powerful(pipeline["main"]) == (
        ["publish"] * answers["use_docker"]
        + ["deploy-staging", "deploy-production"] * delivers
    )


@pytest.mark.parametrize("target", sorted(set(choices("deploy_target")) - {"none"}))
def test_a_delivery_gets_what_its_target_asks_for(rendered, target):
    project = rendered(use_docker=True, deploy_target=target)
    files = parse(project, "github")
    asked = project.run("python3", "-c", ASK.format(target=target), PYTHONPATH="deploy")
    jobs = {**change(files), **files[github.ROLLBACK]["jobs"]}
    given = {
        name: [it for step in job["steps"] for it in github.handed_over(step)]
        for name, job in jobs.items()
        if "environment" in job
    }
    (names,) = {tuple(it) for it in given.values()}
    assert given.keys() == {"deploy-staging", "deploy-production", "rollback"}
    assert set(asked.stdout.split()) <= set(names)
    text = project.read("docs/pipeline.md") + project.read("docs/delivery.md")
    assert all(f"`{name}`" in text for name in names)


ASK = "import {target}; print(*{target}.VARIABLES)"


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
def test_a_job_sees_the_secrets_of_its_own_environment_alone(rendered, answers):
    reader = READERS[answers["ci_provider"]]
    pipeline = reader.read(reader.parse(rendered(**answers)))
    for jobs in pipeline.values():
        for name, job in jobs.items():
            if job.secrets and name != "publish":
                environment, *others = job.secrets
                assert name.endswith(f"-{environment}")
                assert set(others) <= {"registry"}


def powerful(jobs):
    """Return the jobs that have a secret, leave to write, a login or a builder to push."""
    return [
        name
        for name, job in jobs.items()
        if job.secrets or job.may_write or "builder" in job.tools
    ]


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
def test_each_change_builds_its_image_once(rendered, answers):
    reader = READERS[answers["ci_provider"]]
    pipeline = reader.read(reader.parse(rendered(**answers)))
    for workflow, command in (("request", "make image"), ("main", "make publish")):
        commands = [it for job in pipeline[workflow].values() for it in job.run]
        builds = [it for it in commands if it in ("make image", "make publish")]
        assert builds == [command] * answers["use_docker"]


@pytest.mark.parametrize("target", choices("deploy_target"))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_else_stands_around_the_jobs(rendered, provider, target):
    project = rendered(ci_provider=provider, use_docker=True, deploy_target=target)
    frame = READERS[provider].frame(parse(project, provider))
    if provider == "gitlab":
        frame["stages"].remove("image")
    if target != "none":
        without_delivery(provider, frame)
    assert frame == FRAMES[provider]


def without_delivery(provider, frame):
    """Take away what a target brings."""
    if provider == "github":
        assert frame.pop(github.ROLLBACK) == BY_HAND
    if provider == "gitlab":
        assert frame["stages"][-2:] == ["staging", "production"]
        del frame["stages"][-2:]
    if provider == "circleci":
        run = frame["parameters"]["run"]
        assert run["enum"][2:] == ["rollback-staging", "rollback-production"]
        del run["enum"][2:]
        run["description"] = run["description"].replace(", or who goes back", "")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_the_files_of_the_provider_are_delivered(rendered, provider):
    files = rendered(ci_provider=provider).files()
    folders = (".github/", ".gitlab", ".circleci/")
    found = {name for name in files if name.startswith(folders)}
    assert found == set(READERS[provider].FILES)


def test_the_pipeline_only_calls_make_targets_that_exist(rendered):
    jobs = [job for workflow in PIPELINE.values() for job in workflow.values()]
    commands = [command for job in jobs for command in job.run]
    called = {re.fullmatch("make ([a-z-]+)", command)[1] for command in commands}
    for target in set(choices("deploy_target")) - {"none"}:
        project = rendered(use_docker=True, deploy_target=target)
        assert called <= prerequisites(project).keys()


def test_make_ci_does_what_the_jobs_lint_and_test_do(rendered):
    change = PIPELINE["main"]
    for answers in REDIS_STATES.values():
        targets = prerequisites(rendered(**answers))["ci"]
        assert [f"make {target}" for target in ["wait", *targets]] == [
            change["test"].run[0],
            *change["lint"].run,
            *change["test"].run[1:],
        ]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("version", choices("python_version"))
@pytest.mark.parametrize("target", choices("deploy_target"))
def test_every_image_is_pinned(rendered, provider, version, target):
    answers = FULL | {"ci_provider": provider, "python_version": version}
    project = rendered(**answers | {"deploy_target": target})
    images = READERS[provider].images(parse(project, provider))
    assert images
    for image in images:
        pins = (PINNED_IMAGE, PINNED_UV, PINNED_NODE)
        assert any(pin.fullmatch(image) for pin in pins), image


def test_docker_and_its_server_are_one_version():
    pins = (TEMPLATE / "extensions" / "pins.jinja").read_text()
    versions = re.findall(r'"docker:([\d.]+)-(cli|dind)@', pins)
    assert [part for _, part in versions] == ["cli", "dind"]
    assert len({version for version, _ in versions}) == 1


@pytest.mark.parametrize("provider", ["gitlab", "circleci"])
@pytest.mark.parametrize("version", choices("python_version"))
def test_the_image_brings_the_projects_python_and_uv(rendered, provider, version):
    project = rendered(ci_provider=provider, python_version=version)
    (uv,) = re.findall("^UV_VERSION := (.+)$", project.read("Makefile"), re.M)
    images = READERS[provider].images(parse(project, provider))
    tools = {image for image in images if "astral-sh" in image}
    assert tools == {f"ghcr.io/astral-sh/uv:{uv}-python{version}-trixie"}


@pytest.mark.parametrize("name", [*github.FILES, github.ROLLBACK])
def test_every_action_is_pinned_to_a_commit_and_names_its_version(rendered, name):
    assert github.unpinned(rendered(**FULL).read(name)) == []


@pytest.mark.parametrize("name", github.FILES)
def test_github_and_make_use_the_same_uv(rendered, name):
    project = rendered(**FULL)
    used = re.findall(r"setup-uv@.*\n.*\n +version: (.+)", project.read(name))
    (uv,) = re.findall("^UV_VERSION := (.+)$", project.read("Makefile"), re.M)
    assert used
    assert set(used) == {uv}


def test_the_ports_and_the_user_that_go_unsaid_are_the_images(rendered):
    settings = rendered().read("config/settings/base.py")
    assert re.findall(r'"POSTGRES_PORT", default=(\d+)', settings) == ["5432"]
    assert re.findall(r'"POSTGRES_USER", default="(\w+)"', settings) == ["postgres"]


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_every_variable_of_the_pipeline_stands_in_the_example(rendered, answers):
    known = re.findall("^([A-Z_]+)=", rendered(**answers).read(".env.example"), re.M)
    assert expected(**answers)["main"]["test"].variables.keys() <= set(known)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_job_says_where_to_read_what_to_do_when_it_is_red(rendered, provider):
    project = rendered(ci_provider=provider, **FULL)
    pairs = re.findall(
        r"# When red: docs/pipeline\.md#([\w-]+)\n *([\w-]+):",
        "".join(project.read(name) for name in parse(project, provider)),
    )
    for anchor, job in pairs:
        # One page for both environments, and one job where a person chooses.
        assert anchor == ("rollback" if job.startswith("rollback") else job)
    anchors = {
        "rollback" if job.startswith("rollback") else job
        for jobs in PIPELINE.values()
        for job in jobs
    }
    assert {anchor for anchor, _ in pairs} == anchors


# Of the documented table.
ORDER = ["lint", "test", "build", "publish", "audit", "deploy-staging"]
ORDER += ["deploy-production", "rollback-staging", "rollback-production", "newest"]


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
def test_the_documented_table_is_the_pipeline(rendered, answers):
    text = rendered(**answers).read("docs/pipeline.md")
    form = r"^\| \[([\w-]+)\]\(#([\w-]+)\) \| (.+) \| (.+) \| (.+) \|$"
    rows = re.findall(form, text, re.M)
    pipeline = expected(**answers)
    names = {name for jobs in pipeline.values() for name in jobs}
    assert [row[0] for row in rows] == [name for name in ORDER if name in names]
    for name, anchor, runs, when, sees in rows:
        assert anchor == ("rollback" if name.startswith("rollback") else name)
        jobs = {flow: jobs[name] for flow, jobs in pipeline.items() if name in jobs}
        job = next(iter(jobs.values()))
        assert re.findall("`(.+?)`", runs) == job.run
        assert ("on every change" in when) == (jobs.keys() >= {"request", "main"})
        assert ("request" in when) == (jobs.keys() == {"request"})
        assert ("push to main" in when) == (jobs.keys() == {"main"})
        assert ("somebody starts it" in when) == (jobs.keys() == {"rollback"})
        assert ("somebody approves" in when) == job.by_person
        assert ("nightly" in when) == ("nightly" in jobs)
        assert ("may fail" in when) == job.may_fail
        after = re.search(r"after ([\w-]+)(?: and ([\w-]+))?", when)
        assert [it for it in (after.groups() if after else ()) if it] == job.needs
        services = [image.partition(":")[0] for image in job.services]
        assert re.findall("postgres|redis", sees.lower()) == services
        assert ("registry" in sees) == ("registry" in job.secrets)
        for environment in ("staging", "production"):
            assert (f"secrets of {environment}" in sees) == (environment in job.secrets)
        assert f"### {anchor}\n" in text


# Each damages the parsed files in one way that the comparison must see.


def change(files):
    return files[github.CHANGE]["jobs"]


def gitlab_file(files):
    return files[gitlab.FILE]


def circleci_file(files):
    return files[circleci.FILE]


def circleci_jobs(files):
    """Return the jobs of CircleCI's workflow ci with their options, by name."""
    entries = circleci_file(files)["workflows"]["ci"]["jobs"]
    return {name: it[name] for it in entries if not isinstance(it, str) for name in it}


def with_services(files):
    return circleci_file(files)["executors"]["python-with-services"]["docker"]


DAMAGES = {
    "github": {
        "no PostgreSQL": lambda f: change(f)["test"]["services"].pop("postgres"),
        "no Redis": lambda f: change(f)["test"]["services"].pop("redis"),
        "no health check": lambda f: change(f)["test"]["services"]["redis"].pop(
            "options"
        ),
        "another port": lambda f: change(f)["test"]["services"]["redis"].update(
            ports=["6380:6379"]
        ),
        "another password": lambda f: change(f)["test"]["env"].update(
            POSTGRES_PASSWORD="other"
        ),
        "no needs": lambda f: change(f)["test"].pop("needs"),
        "no audit": lambda f: change(f).pop("audit"),
        "no nightly audit": lambda f: f[github.NIGHTLY]["jobs"].pop("audit"),
        "no timeout": lambda f: change(f)["lint"].pop("timeout-minutes"),
        "leave to write": lambda f: change(f)["lint"]["permissions"].update(
            contents="write"
        ),
        "another leave": lambda f: change(f)["audit"]["permissions"].update(
            packages="read"
        ),
        "leave unsaid": lambda f: change(f)["test"].pop("permissions"),
        "a secret": lambda f: change(f)["test"]["env"].update(KEY="${{ secrets.KEY }}"),
        "the token": lambda f: change(f)["test"]["env"].update(
            KEY="${{ github.token }}"
        ),
        "kept credentials": lambda f: change(f)["audit"]["steps"][0].pop("with"),
        "no cache": lambda f: change(f)["test"]["steps"][1]["with"].pop(
            "cache-dependency-glob"
        ),
        "a gate less": lambda f: change(f)["test"]["steps"].pop(3),
        "two gates swapped": lambda f: change(f)["test"]["steps"].insert(
            2, change(f)["test"]["steps"].pop(3)
        ),
        "another command": lambda f: change(f)["lint"]["steps"][2].update(
            run="make lint || :"
        ),
        "another action": lambda f: change(f)["lint"]["steps"].append(
            {"uses": "a/b@v1"}
        ),
        "a job that may fail": lambda f: change(f)["test"].update(
            {"continue-on-error": "true"}
        ),
        "a step that may fail": lambda f: change(f)["test"]["steps"][4].update(
            {"continue-on-error": "true"}
        ),
        "a job that is skipped": lambda f: change(f)["lint"].update({"if": "false"}),
        "reports only of success": lambda f: change(f)["test"]["steps"][-1].pop("if"),
        "reports kept for ever": lambda f: change(f)["test"]["steps"][-1]["with"].pop(
            "retention-days"
        ),
        "reports of the first try alone": lambda f: change(f)["test"]["steps"][-1][
            "with"
        ].pop("overwrite"),
        "a request that pushes": lambda f: change(f)["publish"].pop("if"),
        "a request alone that pushes": lambda f: change(f)["publish"].update(
            {"if": "github.event_name == 'pull_request'"}
        ),
        "another branch that pushes": lambda f: change(f)["publish"].update(
            {"if": "github.event_name == 'push' && github.ref == 'refs/heads/next'"}
        ),
        "a push that always runs": lambda f: change(f)["publish"].update(
            {"if": "always()"}
        ),
        "a push at night": lambda f: f[github.NIGHTLY]["jobs"].update(
            publish=change(f)["publish"] | {"if": "always()"}
        ),
        "an image twice on main": lambda f: change(f)["build"].pop("if"),
        "no image": lambda f: change(f).pop("build"),
        "no push": lambda f: change(f).pop("publish"),
        "a push that waits for nothing": lambda f: change(f)["publish"].pop("needs"),
        "a push that waits for the audit": lambda f: change(f)["publish"].update(
            needs=["test", "audit"]
        ),
        "leave to push for a request": lambda f: change(f)["build"][
            "permissions"
        ].update(packages="write"),
        "more leave to push": lambda f: change(f)["publish"]["permissions"].update(
            contents="write"
        ),
        "leave only to pull": lambda f: change(f)["publish"]["permissions"].update(
            packages="read"
        ),
        "a login for a request": lambda f: change(f)["build"]["steps"].insert(
            1, change(f)["publish"]["steps"][2]
        ),
        "a login with another secret": lambda f: change(f)["publish"]["steps"][2][
            "with"
        ].update(password="${{ secrets.TOKEN }}"),
        "a login elsewhere": lambda f: change(f)["publish"]["steps"][2]["with"].update(
            registry="registry.example.com"
        ),
        "no login": lambda f: change(f)["publish"]["steps"].pop(2),
        "no builder": lambda f: change(f)["publish"]["steps"].pop(1),
        "an unpinned builder": lambda f: change(f)["publish"]["steps"][1][
            "with"
        ].update({"driver-opts": "image=moby/buildkit:latest"}),
        "a builder that may do more": lambda f: change(f)["publish"]["steps"][1][
            "with"
        ].update({"buildkitd-flags": "--allow-insecure-entitlement network.host"}),
        "a push elsewhere": lambda f: change(f)["publish"]["env"].update(
            IMAGE="ghcr.io/other"
        ),
        "a push of another command": lambda f: change(f)["publish"]["steps"][3].update(
            run="make publish && docker push other"
        ),
        "one more command": lambda f: change(f)["publish"]["steps"].append(
            {"name": "More", "run": "id"}
        ),
        "no digest": lambda f: change(f)["publish"]["steps"].pop(),
        "another digest": lambda f: change(f)["publish"]["steps"][-1]["with"].update(
            path="other.json"
        ),
        "a push without an end": lambda f: change(f)["publish"].pop("timeout-minutes"),
        "a push that keeps credentials": lambda f: change(f)["publish"]["steps"][0].pop(
            "with"
        ),
        "a request that deploys": lambda f: change(f)["deploy-staging"].pop("if"),
        "a deployment at night": lambda f: f[github.NIGHTLY]["jobs"].update(
            {"deploy-staging": change(f)["deploy-staging"] | {"if": "always()"}}
        ),
        "staging before the gates": lambda f: change(f)["deploy-staging"].pop("needs"),
        "production before staging": lambda f: change(f)["deploy-production"].update(
            needs="publish"
        ),
        "no staging": lambda f: change(f).pop("deploy-staging"),
        "no production": lambda f: change(f).pop("deploy-production"),
        "the secrets of production for staging": lambda f: change(f)["deploy-staging"][
            "environment"
        ].update(name="production"),
        "a secret that no environment holds": lambda f: change(f)["deploy-staging"].pop(
            "environment"
        ),
        "a secret under another name": lambda f: change(f)["deploy-production"][
            "steps"
        ][-1]["env"].update(KEY="${{ secrets.OTHER }}"),
        "a secret for the whole job": lambda f: change(f)["deploy-staging"][
            "env"
        ].update(KEY="${{ secrets.KEY }}"),
        "a deployment elsewhere": lambda f: change(f)["deploy-staging"]["env"].update(
            ENVIRONMENT="production"
        ),
        "two deployments at once": lambda f: change(f)["deploy-production"].pop(
            "concurrency"
        ),
        "a deployment that gives way": lambda f: change(f)["deploy-staging"][
            "concurrency"
        ].update({"cancel-in-progress": "true"}),
        "a deployment that is dropped": lambda f: change(f)["deploy-staging"][
            "concurrency"
        ].pop("queue"),
        "a lock of its own": lambda f: change(f)["deploy-staging"][
            "concurrency"
        ].update(group="deploy-${{ github.sha }}"),
        "a deployment of no digest": lambda f: change(f)["deploy-staging"]["steps"].pop(
            1
        ),
        "a digest that is not handed on": lambda f: change(f)["deploy-staging"][
            "steps"
        ].pop(),
        "production of what was published": lambda f: change(f)["deploy-production"][
            "steps"
        ][1]["with"].update(name="image"),
        "a deployment without its tool": lambda f: change(f)["deploy-staging"][
            "steps"
        ].pop(2),
        "a deployment that may write": lambda f: change(f)["deploy-staging"][
            "permissions"
        ].update(packages="write"),
        "leave to read for no login": lambda f: change(f)["deploy-staging"][
            "permissions"
        ].update(packages="read"),
        "a deployment that may fail": lambda f: change(f)["deploy-staging"].update(
            {"continue-on-error": "true"}
        ),
        "a rollback of any branch": lambda f: f[github.ROLLBACK]["jobs"][
            "rollback"
        ].pop("if"),
        "a rollback beside a deployment": lambda f: f[github.ROLLBACK]["jobs"][
            "rollback"
        ].pop("concurrency"),
        "a rollback that counts as a deployment": lambda f: f[github.ROLLBACK]["jobs"][
            "rollback"
        ]["environment"].pop("deployment"),
        "no rollback": lambda f: f.pop(github.ROLLBACK),
        "a rollback of staging alone": lambda f: f[github.ROLLBACK]["on"][
            "workflow_dispatch"
        ]["inputs"]["environment"]["options"].pop(),
    },
    "gitlab": {
        "no PostgreSQL": lambda f: gitlab_file(f)[".with-services"]["services"].pop(0),
        "no Redis": lambda f: gitlab_file(f)[".with-services"]["services"].pop(1),
        "another alias": lambda f: gitlab_file(f)[".with-services"]["services"][
            1
        ].update(alias="valkey"),
        "a service with its own password": lambda f: gitlab_file(f)[".with-services"][
            "services"
        ][0].update(variables={"POSTGRES_PASSWORD": "other"}),
        "test beside lint": lambda f: gitlab_file(f)["test"].update(stage="lint"),
        "test that waits for nothing": lambda f: gitlab_file(f)["test"].update(
            needs=[]
        ),
        "audit after the rest": lambda f: gitlab_file(f)["audit"].pop("needs"),
        "no audit": lambda f: gitlab_file(f).pop("audit"),
        "no nightly audit": lambda f: gitlab_file(f)["audit"]["rules"].pop(0),
        "a nightly audit that may fail": lambda f: gitlab_file(f)["audit"]["rules"][
            0
        ].update(allow_failure="true"),
        "no timeout": lambda f: gitlab_file(f)["default"].pop("timeout"),
        "a token of its own": lambda f: gitlab_file(f)["test"].update(
            id_tokens={"T": {"aud": "x"}}
        ),
        "a secret": lambda f: gitlab_file(f)["test"].update(secrets={"S": {}}),
        "an environment": lambda f: gitlab_file(f)["test"].update(environment="x"),
        "kept credentials": lambda f: gitlab_file(f)["variables"].pop(
            "FF_GIT_URLS_WITHOUT_TOKENS"
        ),
        "no cache": lambda f: gitlab_file(f)["default"].pop("cache"),
        "another cache": lambda f: gitlab_file(f)["lint"].update(
            cache={"key": "one-for-all"}
        ),
        "a gate less": lambda f: gitlab_file(f)["test"]["script"].pop(1),
        "another command": lambda f: gitlab_file(f)["lint"].update(
            script=["make lint || :"]
        ),
        "a script before": lambda f: gitlab_file(f)["default"].update(
            before_script=["id"]
        ),
        "a job that may fail": lambda f: gitlab_file(f)["test"].update(
            allow_failure="true"
        ),
        "a rule that may fail": lambda f: gitlab_file(f)[".on-change"]["rules"][
            0
        ].update(allow_failure="true"),
        "a job that waits for a person": lambda f: gitlab_file(f)["lint"].update(
            when="manual"
        ),
        "lint at night": lambda f: gitlab_file(f)["lint"].pop("extends"),
        "reports only of success": lambda f: gitlab_file(f)[".with-services"][
            "artifacts"
        ].pop("when"),
        "reports kept for ever": lambda f: gitlab_file(f)[".with-services"][
            "artifacts"
        ].pop("expire_in"),
        "no coverage": lambda f: gitlab_file(f)[".with-services"].pop("coverage"),
        "a request that pushes": lambda f: gitlab_file(f)["publish"].pop("rules"),
        "a request alone that pushes": lambda f: gitlab_file(f)["publish"].update(
            rules=[{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
        ),
        "another branch that pushes": lambda f: gitlab_file(f)["publish"].update(
            rules=[{"if": '$CI_COMMIT_BRANCH == "next"'}]
        ),
        "a push by hand": lambda f: gitlab_file(f)["publish"]["rules"][0].update(
            when="manual"
        ),
        "a push at night": lambda f: gitlab_file(f)["publish"].update(
            rules=[{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
        ),
        "a push only at night": lambda f: gitlab_file(f)["publish"].update(
            rules=[{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
        ),
        "an image twice on main": lambda f: gitlab_file(f)["build"].update(
            rules=[{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
        ),
        "no image": lambda f: gitlab_file(f).pop("build"),
        "no push": lambda f: gitlab_file(f).pop("publish"),
        "a push that waits for nothing": lambda f: gitlab_file(f)["publish"].update(
            needs=[]
        ),
        "a push that waits for all before it": lambda f: gitlab_file(f)["publish"].pop(
            "needs"
        ),
        "a login for a request": lambda f: gitlab_file(f)["build"]["script"].insert(
            0, gitlab_file(f)["publish"]["script"][2]
        ),
        "a login for every job with Docker": lambda f: gitlab_file(f)[".with-docker"][
            "before_script"
        ].append(gitlab_file(f)["publish"]["script"][2]),
        "a login elsewhere": lambda f: gitlab_file(f)["publish"]["script"].append(
            gitlab_file(f)["publish"]["script"].pop(2).replace("$CI_REGISTRY", "x")
        ),
        "a login too late": lambda f: gitlab_file(f)["publish"]["script"].append(
            gitlab_file(f)["publish"]["script"].pop(2)
        ),
        "no login": lambda f: gitlab_file(f)["publish"]["script"].pop(2),
        "no context": lambda f: gitlab_file(f)["publish"]["script"].pop(0),
        "no builder": lambda f: gitlab_file(f)["publish"]["script"].pop(1),
        "an unpinned builder": lambda f: gitlab_file(f)["publish"]["script"].insert(
            1,
            re.sub("@sha256:[0-9a-f]+", "", gitlab_file(f)["publish"]["script"].pop(1)),
        ),
        "no make": lambda f: gitlab_file(f)[".with-docker"].pop("before_script"),
        "an unpinned Docker": lambda f: gitlab_file(f)[".with-docker"].update(
            image="docker:29-cli"
        ),
        "an unpinned server": lambda f: gitlab_file(f)[".with-docker"]["services"][
            0
        ].update(name="docker:29-dind"),
        "no server": lambda f: gitlab_file(f)[".with-docker"].pop("services"),
        "a server without keys": lambda f: gitlab_file(f)[".with-docker"][
            "variables"
        ].update(DOCKER_TLS_CERTDIR=""),
        "a push elsewhere": lambda f: gitlab_file(f)["publish"]["variables"].update(
            IMAGE="registry.example.com/other"
        ),
        "one more command": lambda f: gitlab_file(f)["publish"]["script"].append("id"),
        "no digest": lambda f: gitlab_file(f)["publish"].pop("artifacts"),
        "a digest kept for ever": lambda f: gitlab_file(f)["publish"]["artifacts"].pop(
            "expire_in"
        ),
        "a push that may fail": lambda f: gitlab_file(f)["publish"]["rules"][0].update(
            allow_failure="true"
        ),
        "a request that deploys": lambda f: gitlab_file(f)[".deliver"].update(
            rules=[{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
        ),
        "staging before the gates": lambda f: gitlab_file(f)["deploy-staging"].update(
            needs=[]
        ),
        "production before staging": lambda f: gitlab_file(f)["deploy-production"][
            "needs"
        ].pop(),
        "no staging": lambda f: gitlab_file(f).pop("deploy-staging"),
        "no production": lambda f: gitlab_file(f).pop("deploy-production"),
        "the variables of production for staging": lambda f: gitlab_file(f)[
            "deploy-staging"
        ]["environment"].update(name="production"),
        "no environment": lambda f: gitlab_file(f)["deploy-staging"].pop("environment"),
        "a deployment elsewhere": lambda f: gitlab_file(f)["deploy-staging"][
            "variables"
        ].update(ENVIRONMENT="production"),
        "two deployments at once": lambda f: gitlab_file(f)["deploy-production"].pop(
            "resource_group"
        ),
        "a deployment that gives way": lambda f: gitlab_file(f)[".deliver"].pop(
            "interruptible"
        ),
        "production without a person": lambda f: gitlab_file(f)["deploy-production"][
            "rules"
        ][0].pop("when"),
        "production that nobody need start": lambda f: gitlab_file(f)[
            "deploy-production"
        ]["rules"][0].update(allow_failure="true"),
        "a digest that is not handed on": lambda f: gitlab_file(f)[
            "deploy-staging"
        ].pop("artifacts"),
        "production of what was published": lambda f: gitlab_file(f)[
            "deploy-production"
        ]["needs"].insert(0, "publish"),
        "a deployment without its tool": lambda f: gitlab_file(f)["deploy-staging"][
            "script"
        ].pop(0),
        "a rollback at every push": lambda f: gitlab_file(f)["rollback-staging"].pop(
            "rules"
        ),
        "a rollback that blocks": lambda f: gitlab_file(f)["rollback-staging"]["rules"][
            0
        ].pop("allow_failure"),
        "a rollback beside a deployment": lambda f: gitlab_file(f)[
            "rollback-production"
        ].pop("resource_group"),
        "a rollback that counts as a deployment": lambda f: gitlab_file(f)[
            "rollback-staging"
        ]["environment"].pop("action"),
        "no rollback": lambda f: gitlab_file(f).pop("rollback-production"),
        "a rollback that waits": lambda f: gitlab_file(f)["rollback-staging"].pop(
            "needs"
        ),
    },
    "circleci": {
        "no PostgreSQL": lambda f: with_services(f).pop(1),
        "no Redis": lambda f: with_services(f).pop(2),
        "another port": lambda f: with_services(f)[0]["environment"].update(
            REDIS_URL="redis://127.0.0.1:6380/0"
        ),
        "another password": lambda f: with_services(f)[1]["environment"].update(
            POSTGRES_PASSWORD="other"
        ),
        "no needs": lambda f: circleci_file(f)["workflows"]["ci"]["jobs"][1][
            "test"
        ].pop("requires"),
        "no audit": lambda f: circleci_file(f)["workflows"].pop("audit"),
        "no nightly audit": lambda f: circleci_file(f)["workflows"]["nightly"][
            "jobs"
        ].pop(0),
        "an audit that must pass": lambda f: circleci_file(f)["workflows"]["ci"][
            "jobs"
        ].append(circleci_file(f)["workflows"].pop("audit")["jobs"][0]),
        "nightly at every push": lambda f: circleci_file(f)["workflows"][
            "nightly"
        ].update(when='pipeline.parameters.run == "ci"'),
        "no timeout": lambda f: circleci_file(f)["commands"]["make"]["steps"][0][
            "run"
        ].pop("no_output_timeout"),
        "a context": lambda f: circleci_file(f)["workflows"]["ci"]["jobs"][1][
            "test"
        ].update(context="my-project-production"),
        "a filter": lambda f: circleci_file(f)["workflows"]["ci"]["jobs"][1][
            "test"
        ].update(filters="false"),
        "no checkout": lambda f: circleci_file(f)["commands"]["begin"]["steps"].pop(0),
        "no cache": lambda f: circleci_file(f)["commands"]["begin"]["steps"].pop(1),
        "another cache": lambda f: circleci_file(f)["jobs"]["lint"]["steps"][2][
            "save_cache"
        ].update(key="one-for-all"),
        "a gate less": lambda f: circleci_file(f)["jobs"]["test"]["steps"].pop(2),
        "another command": lambda f: circleci_file(f)["jobs"]["lint"]["steps"].append(
            {"run": {"command": "id", "no_output_timeout": "5m"}}
        ),
        "a step that hides failure": lambda f: circleci_file(f)["commands"]["make"][
            "steps"
        ][0]["run"].update(command="make << parameters.target >> || true"),
        "a step in the background": lambda f: circleci_file(f)["commands"]["make"][
            "steps"
        ][0]["run"].update(background="true"),
        "a job with its own variables": lambda f: circleci_file(f)["jobs"][
            "test"
        ].update(environment={"KEY": "x"}),
        "no results": lambda f: circleci_file(f)["commands"]["reports"]["steps"].pop(0),
        "no reports": lambda f: circleci_file(f)["commands"]["reports"]["steps"].pop(1),
        "a request that pushes": lambda f: circleci_jobs(f)["publish"].pop("filters"),
        "a request alone that pushes": lambda f: circleci_jobs(f)["publish"].update(
            filters='pipeline.git.branch != "main"'
        ),
        "another branch that pushes": lambda f: circleci_jobs(f)["publish"].update(
            filters='pipeline.git.branch == "next"'
        ),
        "a filter that is a map": lambda f: circleci_jobs(f)["publish"].update(
            filters={"branches": {"only": "main"}}
        ),
        "a push at night": lambda f: circleci_file(f)["workflows"]["nightly"][
            "jobs"
        ].append({"publish": {"context": "my-project-registry"}}),
        "an image twice on main": lambda f: circleci_jobs(f)["build"].pop("filters"),
        "no image": lambda f: circleci_file(f)["workflows"]["ci"]["jobs"].pop(2),
        "no push": lambda f: circleci_file(f)["workflows"]["ci"]["jobs"].pop(3),
        "a push that waits for nothing": lambda f: circleci_jobs(f)["publish"].pop(
            "requires"
        ),
        "a context for a request": lambda f: circleci_jobs(f)["build"].update(
            context="my-project-registry"
        ),
        "another context": lambda f: circleci_jobs(f)["publish"].update(
            context="my-project-production"
        ),
        "one more context": lambda f: circleci_jobs(f)["publish"].update(
            context=["my-project-registry", "my-project-production"]
        ),
        "no context": lambda f: circleci_jobs(f)["publish"].pop("context"),
        "a login for a request": lambda f: circleci_file(f)["jobs"]["build"][
            "steps"
        ].insert(1, circleci_file(f)["jobs"]["publish"]["steps"][2]),
        "a login too late": lambda f: circleci_file(f)["jobs"]["publish"][
            "steps"
        ].append(circleci_file(f)["jobs"]["publish"]["steps"].pop(2)),
        "no login": lambda f: circleci_file(f)["jobs"]["publish"]["steps"].pop(2),
        "no builder": lambda f: circleci_file(f)["jobs"]["publish"]["steps"].pop(1),
        "an unpinned builder": lambda f: circleci_file(f)["jobs"]["publish"]["steps"][
            1
        ]["run"].update(
            command="docker buildx create --driver-opt image=moby/buildkit:latest --use"
        ),
        "another machine": lambda f: circleci_file(f)["executors"]["docker"][
            "machine"
        ].update(image="ubuntu-2404:edge"),
        "a machine that keeps layers": lambda f: circleci_file(f)["executors"][
            "docker"
        ]["machine"].update(docker_layer_caching="true"),
        "one more command": lambda f: circleci_file(f)["jobs"]["publish"][
            "steps"
        ].append({"run": {"command": "id", "no_output_timeout": "5m"}}),
        "a login without an end": lambda f: circleci_file(f)["jobs"]["publish"][
            "steps"
        ][2]["run"].pop("no_output_timeout"),
        "no digest": lambda f: circleci_file(f)["jobs"]["publish"]["steps"].pop(),
        "a request that deploys": lambda f: circleci_jobs(f)["deploy-staging"].pop(
            "filters"
        ),
        "staging before the gates": lambda f: circleci_jobs(f)["deploy-staging"].pop(
            "requires"
        ),
        "production before staging": lambda f: circleci_jobs(f)[
            "approve-production"
        ].update(requires=["publish"]),
        "production without a person": lambda f: circleci_jobs(f)[
            "deploy-production"
        ].update(requires=["deploy-staging"]),
        "an approval for other branches": lambda f: circleci_jobs(f)[
            "approve-production"
        ].pop("filters"),
        "the secrets of production for staging": lambda f: circleci_jobs(f)[
            "deploy-staging"
        ].update(context="my-project-production"),
        "the secrets of both": lambda f: circleci_jobs(f)["deploy-staging"].update(
            context=["my-project-staging", "my-project-production"]
        ),
        "a deployment without secrets": lambda f: circleci_jobs(f)[
            "deploy-staging"
        ].pop("context"),
        "a deployment elsewhere": lambda f: circleci_file(f)["jobs"]["deploy-staging"][
            "environment"
        ].update(ENVIRONMENT="production"),
        "two deployments at once": lambda f: circleci_jobs(f)["deploy-production"].pop(
            "serial-group"
        ),
        "a context of all projects": lambda f: circleci_jobs(f)[
            "deploy-staging"
        ].update(context="staging"),
        "a lock for all projects": lambda f: circleci_jobs(f)["deploy-staging"].update(
            {"serial-group": "deployments"}
        ),
        "a deployment of no digest": lambda f: circleci_file(f)["jobs"][
            "deploy-staging"
        ]["steps"].pop(1),
        "a digest that nobody keeps": lambda f: circleci_file(f)["jobs"]["publish"][
            "steps"
        ].pop(),
        "a digest that is not handed on": lambda f: circleci_file(f)["jobs"][
            "deploy-staging"
        ]["steps"].pop(),
        "a digest that production hands on": lambda f: circleci_file(f)["jobs"][
            "deploy-production"
        ]["steps"].append({"persist_to_workspace": circleci.KEPT["image"]}),
        "a deployment without its tool": lambda f: circleci_file(f)["jobs"][
            "deploy-staging"
        ]["steps"].pop(2),
        "a rollback at every push": lambda f: circleci_file(f)["workflows"][
            "rollback-staging"
        ].update(when='pipeline.parameters.run == "ci"'),
        "a rollback of any branch": lambda f: circleci_file(f)["workflows"][
            "rollback-staging"
        ]["jobs"][0]["rollback-staging"].pop("filters"),
        "a rollback beside a deployment": lambda f: circleci_file(f)["workflows"][
            "rollback-staging"
        ]["jobs"][0]["rollback-staging"].pop("serial-group"),
        "no rollback": lambda f: circleci_file(f)["workflows"].pop("rollback-staging"),
    },
}


@pytest.mark.parametrize(
    ("provider", "damage"),
    [
        pytest.param(provider, damage, id=f"{provider}-{name}")
        for provider, damages in DAMAGES.items()
        for name, damage in damages.items()
    ],
)
def test_damage_to_a_job_is_seen(rendered, provider, damage):
    answers = FULL | {"ci_provider": provider}
    reader = READERS[provider]
    files = reader.parse(rendered(**answers))
    assert reader.read(files) == expected(**answers)
    damage(files)
    assert reader.read(files) != expected(**answers)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("damage", "job"),
    [
        ("a request that pushes", "publish"),
        ("a request that deploys", "deploy-staging"),
    ],
)
def test_a_request_that_sees_a_secret_is_seen(rendered, provider, damage, job):
    files = parse(rendered(ci_provider=provider, **FULL), provider)
    DAMAGES[provider][damage](files)
    assert powerful(READERS[provider].read(files)["request"])[0] == job


@pytest.mark.parametrize("provider", PROVIDERS)
def test_damage_around_the_jobs_is_seen(rendered, provider):
    reader = READERS[provider]
    frame = reader.frame(parse(rendered(ci_provider=provider), provider))
    for key in frame:
        assert {k: v for k, v in frame.items() if k != key} != FRAMES[provider]


@pytest.mark.parametrize(
    "image",
    [
        "postgres:18",
        "postgres@sha256:" + 64 * "a",
        "redis:8.10.2@sha256:" + 63 * "a",
        "ghcr.io/astral-sh/uv:latest",
        "ghcr.io/astral-sh/uv:0.13-python3.13-trixie",
        "cimg/python:3.13",
        "docker:29-cli@sha256:" + 63 * "a",
        "docker:29.8.1-cli",
        "moby/buildkit@sha256:" + 64 * "a",
        "node:24-trixie",
        "node:24.19.0",
    ],
)
def test_damage_to_the_pin_of_an_image_is_seen(image):
    assert not PINNED_IMAGE.fullmatch(image)
    assert not PINNED_UV.fullmatch(image)
    assert not PINNED_NODE.fullmatch(image)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@", "@v7 # @"),
        (r" # v[\d.]+", ""),
        (r"@[0-9a-f]{8}", "@"),
        (r"@[0-9a-f]{40} # ", "@"),
    ],
)
def test_damage_to_the_pin_of_an_action_is_seen(rendered, old, new):
    text = rendered(**FULL).read(github.CHANGE)
    assert not github.unpinned(text)
    uses = re.search("uses: .*", text)[0]
    assert github.unpinned(text.replace(uses, re.sub(old, new, uses, count=1)))


def prerequisites(project):
    """Return the prerequisites of each target of the Makefile."""
    rules = re.findall(r"^([a-z-]+): ([^#\n]*)##", project.read("Makefile"), re.M)
    return {target: names.split() for target, names in rules}
