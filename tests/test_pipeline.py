import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from options import REDIS_STATES, choices
from workflow import WORKFLOW, Job, read_jobs, unpinned

# What the pipeline is, whoever runs it, with every option on.
PIPELINE = {
    "lint": Job(run=["make lint"]),
    "test": Job(
        run=["make check", "make migrate", "make test"],
        uses=["actions/checkout", "astral-sh/setup-uv", "actions/upload-artifact"],
        needs=["lint"],
        services={"postgres": 5432, "redis": 6379},
        more=[("Publish test and coverage reports", {"if": "always()"})],
    ),
    "audit": Job(run=["make audit"], may_fail=True),
}
# Around the jobs: when they run, and what they may do unless they say so.
FRAME = {
    "name": "CI",
    "on": {"push": {"branches": ["main"]}, "pull_request": ""},
    "permissions": {},
    "concurrency": {
        "group": "ci-${{ github.event.pull_request.number || github.run_id }}",
        "cancel-in-progress": "true",
    },
}
FULL = REDIS_STATES["redis-celery-channels"]


def expected(*, use_redis, dependency_audit="report", **_):
    """Return the jobs of the pipeline of a project with these answers."""
    test, audit = PIPELINE["test"], PIPELINE["audit"]
    if not use_redis:
        test = replace(test, services={"postgres": 5432})
    return PIPELINE | {
        "test": test,
        "audit": replace(audit, may_fail=dependency_audit == "report"),
    }


def frame(workflow):
    return {key: value for key, value in workflow.items() if key != "jobs"}


@pytest.fixture(params=REDIS_STATES.values(), ids=REDIS_STATES)
def answers(request):
    return request.param


@pytest.fixture
def project(rendered, answers):
    return rendered(**answers)


@pytest.fixture
def workflow(project):
    return project.yaml(WORKFLOW)


@pytest.mark.parametrize("audit", choices("dependency_audit"))
def test_the_workflow_is_the_pipeline(rendered, answers, audit):
    answers = answers | {"dependency_audit": audit}
    workflow = rendered(**answers).yaml(WORKFLOW)
    assert read_jobs(workflow) == expected(**answers)
    assert frame(workflow) == FRAME


def test_the_pipeline_only_calls_make_targets_that_exist(project):
    commands = [command for job in PIPELINE.values() for command in job.run]
    called = {re.fullmatch("make ([a-z-]+)", command)[1] for command in commands}
    assert called <= prerequisites(project).keys()


def test_make_ci_does_what_the_jobs_lint_and_test_do(project):
    targets = prerequisites(project)["ci"]
    assert [f"make {target}" for target in targets] == [
        *PIPELINE["lint"].run,
        *PIPELINE["test"].run,
    ]


def test_every_action_is_pinned_to_a_commit_and_names_its_version(project):
    assert unpinned(project.read(WORKFLOW)) == []


def test_every_service_is_pinned_to_a_digest_and_waited_for(workflow):
    for service in workflow["jobs"]["test"]["services"].values():
        assert re.fullmatch(r"[a-z]+:[\d.]+@sha256:[0-9a-f]{64}", service["image"])
        assert "--health-cmd" in service["options"]


def test_the_pipeline_and_make_use_the_same_uv(project, workflow):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    versions = {
        step["with"]["version"] for step in steps if "setup-uv@" in step.get("uses", "")
    }
    assert versions == set(
        re.findall("^UV_VERSION := (.+)$", project.read("Makefile"), re.M)
    )


def test_the_tests_find_postgresql_where_the_service_is(project, workflow):
    job = workflow["jobs"]["test"]
    service = job["services"]["postgres"]["env"]
    # The port and the user go unsaid: the settings' defaults are the image's.
    assert {k: v for k, v in job["env"].items() if k.startswith("POSTGRES_")} == {
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PASSWORD": service["POSTGRES_PASSWORD"],
    }
    settings = project.read("config/settings/base.py")
    (port,) = re.findall(r'"POSTGRES_PORT", default=(\d+)', settings)
    (user,) = re.findall(r'"POSTGRES_USER", default="(\w+)"', settings)
    assert int(port) == read_jobs(workflow)["test"].services["postgres"]
    assert user == service.get("POSTGRES_USER", "postgres")


def test_the_tests_find_each_database_of_redis_where_the_service_is(answers, workflow):
    job = workflow["jobs"]["test"]
    urls = {
        name: urlsplit(url)
        for name, url in job["env"].items()
        if not name.startswith("POSTGRES_")
    }
    wanted = {
        "REDIS_URL": answers["use_redis"],
        "CELERY_BROKER_URL": answers.get("use_celery"),
        "CELERY_RESULT_BACKEND": answers.get("use_celery"),
        "CHANNEL_LAYER_URL": answers.get("use_channels"),
    }
    assert urls.keys() == {name for name, needed in wanted.items() if needed}
    ports = read_jobs(workflow)["test"].services
    for url in urls.values():
        assert (url.scheme, url.hostname, url.port) == (
            "redis",
            "127.0.0.1",
            ports["redis"],
        )
    assert len({url.path for url in urls.values()}) == len(urls)


def test_every_variable_of_the_pipeline_stands_in_the_example(project, workflow):
    known = re.findall("^([A-Z_]+)=", project.read(".env.example"), re.M)
    assert workflow["jobs"]["test"]["env"].keys() <= set(known)


# Each damages the parsed workflow in one way that the comparison must see.
DAMAGES = {
    "no PostgreSQL": lambda jobs: jobs["test"]["services"].pop("postgres"),
    "no Redis": lambda jobs: jobs["test"]["services"].pop("redis"),
    "another port": lambda jobs: jobs["test"]["services"]["redis"].update(
        ports=["6380:6379"]
    ),
    "no needs": lambda jobs: jobs["test"].pop("needs"),
    "no audit": lambda jobs: jobs.pop("audit"),
    "no timeout": lambda jobs: jobs["lint"].pop("timeout-minutes"),
    "leave to write": lambda jobs: jobs["lint"]["permissions"].update(contents="write"),
    "another leave": lambda jobs: jobs["audit"]["permissions"].update(packages="read"),
    "leave unsaid": lambda jobs: jobs["test"].pop("permissions"),
    "a secret": lambda jobs: jobs["test"]["env"].update(KEY="${{ secrets.KEY }}"),
    "the token": lambda jobs: jobs["test"]["env"].update(KEY="${{ github.token }}"),
    "kept credentials": lambda jobs: jobs["audit"]["steps"][0].pop("with"),
    "a gate less": lambda jobs: jobs["test"]["steps"].pop(2),
    "two gates swapped": lambda jobs: jobs["test"]["steps"].insert(
        2, jobs["test"]["steps"].pop(3)
    ),
    "another command": lambda jobs: jobs["lint"]["steps"][2].update(
        run="make lint || :"
    ),
    "another action": lambda jobs: jobs["lint"]["steps"].append({"uses": "a/b@v1"}),
    "a job that may fail": lambda jobs: jobs["test"].update(
        {"continue-on-error": "true"}
    ),
    "a step that may fail": lambda jobs: jobs["test"]["steps"][4].update(
        {"continue-on-error": "true"}
    ),
    "a job that is skipped": lambda jobs: jobs["lint"].update({"if": "false"}),
    "reports only of success": lambda jobs: jobs["test"]["steps"][-1].pop("if"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_a_job_is_seen(rendered, damage):
    workflow = rendered(**FULL).yaml(WORKFLOW)
    assert read_jobs(workflow) == expected(**FULL)
    damage(workflow["jobs"])
    assert read_jobs(workflow) != expected(**FULL)


@pytest.mark.parametrize("key", FRAME)
def test_damage_around_the_jobs_is_seen(rendered, key):
    workflow = rendered(**FULL).yaml(WORKFLOW)
    del workflow[key]
    assert frame(workflow) != FRAME


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@", "@v7 # @"),
        (r" # v[\d.]+", ""),
        (r"@[0-9a-f]{8}", "@"),
        (r"@[0-9a-f]{40} # ", "@"),
    ],
)
def test_damage_to_a_pin_is_seen(rendered, old, new):
    text = rendered(**FULL).read(WORKFLOW)
    assert not unpinned(text)
    uses = re.search("uses: .*", text)[0]
    assert unpinned(text.replace(uses, re.sub(old, new, uses, count=1)))


def prerequisites(project):
    """Return the prerequisites of each target of the Makefile."""
    rules = re.findall(r"^([a-z-]+): ([^#\n]*)##", project.read("Makefile"), re.M)
    return {target: names.split() for target, names in rules}
