"""Each provider's own file runs here, with real servers at the addresses that it names."""

import fcntl
import re
import sys
import tempfile
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.deployment.platforms import Kubernetes
from tests.pipelines.answers import KEYS, PROVIDERS, of_every_provider
from tests.pipelines.readers import READERS
from tests.pipelines.runners import sandbox
from tests.pipelines.runners.circleci import run_circleci
from tests.pipelines.runners.github import REVIEWED, run_github
from tests.pipelines.runners.gitlab import run_gitlab
from tests.pipelines.runners.packages import PYTHON, copy_packages, install
from tests.pipelines.runners.sandbox import Sandbox
from tests.support.breaks import BREAKS
from tests.support.code_host import FULL as RIGHTS
from tests.support.code_host import JOB, REPOSITORY, make_host, read_requests
from tests.support.machine import find_chromium, give_up
from tests.support.options import FULL, REDIS_STATES, choices
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.seconds(15)]
RUNNERS = {"github": run_github, "gitlab": run_gitlab, "circleci": run_circleci}
NONE = REDIS_STATES["none"]
URL = re.compile("https://[a-z.-]+")
INSTALL = "$(VENV)/bin/playwright install --with-deps --only-shell chromium"
# The secrets of the registry, and of each environment. The first four are GitLab's own.
SECRETS = {
    "registry": {
        "CI_REGISTRY": "registry.example.com",
        "CI_REGISTRY_IMAGE": "registry.example.com/team/name",
        "CI_REGISTRY_USER": "robot",
        "CI_REGISTRY_PASSWORD": "very-secret: can-push",
        "REGISTRY": "docker.example.com",
        "REGISTRY_USER": "robot$team",
        "REGISTRY_PASSWORD": "very-secret: can-push",
        "IMAGE": "docker.example.com/team/name",
    },
    "staging": {
        "KUBECONFIG_CONTENT": "very-secret: my-project-staging",
        "REGISTRY_USER": "robot$pull",
        "REGISTRY_PASSWORD": "very-secret: can-pull",
    },
    "production": {"KUBECONFIG_CONTENT": "very-secret: my-project-production"},
}


def require_sandbox():
    """Skip the test where no sandbox can run. In a pipeline that is an error."""
    if reason := sandbox.reason_against():
        give_up(f"the pipelines need Linux and its namespaces: {reason}")


@pytest.fixture(scope="session")
def packages(rendered, shared_folder):
    """Return the programs of the servers, and the caches of uv and mypy for the jobs.

    The jobs install from the cache: the sandbox has no network.
    """
    require_sandbox()
    folder = shared_folder / "installed"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # A deploy target and the tests in a browser bring packages, too.
            every = rendered(**FULL, deploy_target="heroku", use_e2e=True)
            copy_packages(every / "requirements-dev.txt", folder / "cache")
            # No job has these in its cache: it must not install them.
            servers = rendered(**FULL) / "requirements-servers.txt"
            with tempfile.TemporaryDirectory() as cache:
                install(servers, cache, folder / "programs")
            project = rendered(python_version=PYTHON, **FULL)
            project.copy_to(folder / "project").installed()
    types = folder / "project/.mypy_cache"
    return folder / "programs", folder / "cache", types


@pytest.fixture(scope="session")
def newest(packages, rendered, shared_folder):
    """Add the newest packages that a project allows to the cache, once for all workers."""
    with (shared_folder / "newest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared_folder / "newest"
        if not folder.exists():
            project = rendered(python_version=PYTHON).copy_to(folder)
            (folder / ".cache/newest").mkdir(parents=True)
            options = {"PINS": ".cache/newest/", "UV_CACHE_DIR": str(packages[1])}
            project.make_ok("lock", ARGS="--upgrade", **options)
            project.make_ok("setup", **options)


@pytest.fixture
def project(rendered, tmp_path):
    """Return a function that copies a rendered project, for the test to change."""

    def project(**answers):
        return rendered(python_version=PYTHON, **answers).copy_to(tmp_path / "project")

    return project


@pytest.fixture
def run(packages, tmp_path):
    """Return a function that runs the pipeline of a project as its provider would."""

    def run(provider, project, platform=None, without=(), box=None, **options):
        if not (platform or box):
            project.commit()
        scratch = Path(tempfile.mkdtemp(dir=tmp_path))
        sandbox = Sandbox(scratch, *packages, without=without, **(box or {}))
        if platform:
            sandbox.stand_in, sandbox.secrets = platform.folder, SECRETS
        return RUNNERS[provider](project, sandbox, **options)

    return run


@pytest.fixture
def platform(project, tmp_path):
    """Return a function that returns the clusters of a project, which run commit A."""

    def platform(provider):
        folder = tmp_path / "platform"
        folder.mkdir()
        made = project(
            ci_provider=provider,
            use_docker=True,
            deploy_target="kubernetes",
            **REDIS_STATES["redis-celery"],
        )
        for name in Kubernetes.names:
            address = URL.search(made.read("deploy/environments.toml"))[0]
            site = f"http://localhost:8000/my-project-{name}"
            made.edit("deploy/environments.toml", f'"{address}"', f'"{site}"')
        made.commits = made.commit_each("AB")
        platform = Kubernetes(made, folder, SimpleNamespace())
        platform.run_first()
        return platform

    return platform


@of_every_provider
@pytest.mark.parametrize(
    ("answers", "workflow"), [(NONE, "request"), (FULL, "main")], ids=["none", "full"]
)
def test_fresh_project_passes_with_its_services(
    project, run, provider, answers, workflow
):
    fresh = project(ci_provider=provider, **answers)
    done = run(provider, fresh, workflow=workflow, jobs=["test"])

    expected = {"lint": "success", "test": "success", "audit": "skipped"}
    assert done.results == expected, done.logs
    assert done.passed
    assert "database=test_my_project" in done.server_logs["postgres"]
    if answers["use_redis"]:
        assert ":1:test_cache" in done.server_logs["redis"]
    assert reports(done) == {"coverage.xml", "junit.xml"}
    if workflow == "request" and provider != "circleci":  # which names no base
        assert f"breaking changes since {fresh.head()}" in done.logs["test"], done.logs[
            "test"
        ]


def reports(done):
    """Return the names of the reports that a run published."""
    return {file.name for file in done.artifacts.rglob("*.xml")}


@of_every_provider
@pytest.mark.parametrize("answer", choices("dependency_audit"))
def test_audit_failure_blocks_only_when_enforced(project, run, provider, answer):
    answers = {"ci_provider": provider, "dependency_audit": answer}
    done = run(provider, project(**answers), jobs=["audit"])

    assert done.results["audit"] == "failure"
    assert "Max retries exceeded" in done.logs["audit"], done.logs["audit"]
    assert done.passed == (answer == "report")


@of_every_provider
def test_nightly_run_tests_newest_packages_and_enforces_audit(
    project, run, newest, provider
):
    done = run(provider, project(ci_provider=provider), workflow="nightly")

    assert done.results == {"audit": "failure", "newest": "success"}, done.logs
    assert not done.passed
    assert "All 4 gates passed" in done.logs["newest"]
    assert list(done.artifacts.rglob("newest.txt"))


# On one provider: test_parity.py shows that the job is the same on the others.
def test_nightly_run_tests_in_a_browser(project, run):
    made = project(ci_provider="circleci", use_e2e=True)
    # The sandbox has no network: the job runs the Chromium of this machine. The path of
    # its socket may not be longer than 107 bytes.
    made.edit("Makefile", f"\t{INSTALL}\n", "\techo installed\n")
    variables = {"CHROMIUM": find_chromium(), "TMPDIR": tempfile.gettempdir()}
    lines = "".join(f"\nexport {it[0]} := {it[1]}" for it in variables.items())
    made.edit("Makefile", "\nVENV :=", f"{lines}\nVENV :=")
    done = run("circleci", made, workflow="nightly", jobs=["e2e"])

    assert done.passed, done.logs["e2e"]
    assert "3 passed" in done.logs["e2e"], done.logs["e2e"]
    assert "database=test_my_project" in done.server_logs["postgres"]
    # Only failed tests have screenshots and traces.
    assert {file.name for file in done.artifacts.rglob("*.*")} == {"junit.xml"}


# A template with two releases: the second one adds a file.
COPIER = "_subdirectory: template\n"
ANSWERS = "template/{{ _copier_conf.answers_file }}.jinja"
FIRST = {"copier.yml": COPIER, ANSWERS: "{{ _copier_answers|to_nice_yaml }}"}
SECOND = {"template/added": "new\n"}
HOST = "http://localhost:8000"
TITLE = "Update the template to v1.1.0"
# Where the jobs of each provider find the code host
PLACES = {
    "github": {"api": f"{HOST}/api"},
    "gitlab": {
        "predefined": {
            "CI_SERVER_URL": HOST,
            "CI_API_V4_URL": f"{HOST}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_PROJECT_PATH": REPOSITORY,
            "CI_DEFAULT_BRANCH": "main",
        }
    },
    "circleci": {},
}
TOKEN = {"TEMPLATE_TOKEN": "very-secret-template"}
# On GitHub, the job has a token of its own.
TOKENS = {
    "github": {},
    "gitlab": TOKEN,
    "circleci": TOKEN | {"GITHUB_SERVER_URL": HOST, "GITHUB_API_URL": f"{HOST}/api"},
}


@of_every_provider
def test_nightly_run_opens_a_request_with_a_newer_template(
    project, run, tmp_path, provider
):
    template = Project(tmp_path / "template")
    for version, files in (("v1.0.0", FIRST), ("v1.1.0", SECOND)):
        for name, content in files.items():
            path = template / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        template.commit(version)
        template.run_ok("git", "tag", version)
    rendered = project(ci_provider=provider, template_updates="job")
    # CircleCI's job takes the name of the repository from its address.
    made = rendered.copy_to(tmp_path / REPOSITORY)
    answers = f"_src_path: {template.path}\n_commit: v1.0.0\n"
    (made / ".copier-answers.yml").write_text(answers)
    # The sandbox has no network, for Copier and for newer packages.
    (command,) = re.findall(
        "^TEMPLATE = @(.*) -m scripts.template$", made.read("Makefile"), re.M
    )
    made.edit(
        "Makefile",
        f"{command} -m scripts.template",
        f"{sys.executable} -m scripts.template --merge-only",
    )
    made.commit()
    host = tmp_path / "host"
    host.mkdir()
    tokens = {"token-of-the-job": JOB, TOKEN["TEMPLATE_TOKEN"]: RIGHTS}
    make_host(host, made.path, tokens)
    box = {"code_host": host, "secrets": {"template": TOKENS[provider]}}
    jobs = ["template-request"]
    done = run(
        provider, made, box=box, workflow="nightly", jobs=jobs, **PLACES[provider]
    )

    assert done.passed, done.logs
    ran = {name for name, result in done.results.items() if result == "success"}
    assert ran == {"template-update", "template-request"}, done.logs
    assert f"{TITLE}: https://host/" in done.logs["template-request"]
    assert [it["title"] for it in read_requests(host)] == [TITLE]
    added = Project(host / f"{REPOSITORY}.git").run(
        "git", "show", "template-update:added"
    )
    assert added.stdout == "new\n"
    assert "very-secret" not in str(done.logs)


@of_every_provider
def test_main_is_published_once_and_deployed_twice(run, platform, provider):
    platform = platform(provider)
    done = run(provider, platform.project, platform, jobs=["deploy-production"])

    wanted = ["lint", "test", "publish", "deploy-staging", "deploy-production"]
    assert all(done.results[name] == "success" for name in wanted), done.logs
    for name in Kubernetes.names:
        assert platform.running(name) == platform.commits[-1]
    # Both environments run the published image.
    (image,) = (platform.folder / "images").iterdir()
    state = platform.state()
    for name in Kubernetes.names.values():
        _, running, _ = state[name]["deployments"]["web"][0]
        assert running.endswith(f"@sha256:{image.name}")
    # The last job had the key of production.
    kept = (platform.folder / "kubeconfig").read_text()
    assert kept.endswith("very-secret: my-project-production")
    assert "very-secret" not in str(done.logs)


# What makes the job publish wait for test: a pattern in the file of the provider
NEEDS = {
    "github": (r"(\n  publish:\n(?:    .*\n)*?)    needs: test\n", r"\1"),
    "gitlab": (r"(\npublish:\n(?:  .*\n)*?  needs:)\n    - test\n", r"\1 []\n"),
    "circleci": (r"(      - publish:\n)          requires:\n +- test\n", r"\1"),
}


@of_every_provider
def test_publish_logs_in_with_the_key_that_pushes(project, run, tmp_path, provider):
    made = project(ci_provider=provider, use_docker=True, **KEYS)
    file = made / READERS[provider].FILES[0]
    text, number = re.subn(*NEEDS[provider], file.read_text())
    assert number == 1
    file.write_text(text)
    made.commit()
    (tmp_path / "platform").mkdir()
    there = SimpleNamespace(folder=tmp_path / "platform")
    done = run(provider, made, there, jobs=["publish"])

    assert done.results["publish"] == "success", done.logs
    pushed = "Pushed docker.example.com/team/name@sha256:"
    assert pushed in done.logs["publish"], done.logs["publish"]
    assert "very-secret" not in str(done.logs)


@of_every_provider
def test_person_rolls_an_environment_back(run, platform, provider):
    platform = platform(provider)
    first, second = platform.commits
    platform.run_next("staging", second)
    for name in ("Makefile", "deploy/run.py"):  # The newest commit breaks both.
        (platform.project / name).write_text("(")
    platform.project.commit("C")
    how = {"workflow": "rollback-staging"}
    if provider == "gitlab":
        how = {"workflow": "rollback", "jobs": ["rollback-staging"]}
    inputs = {"release": second, "older": 1}
    done = run(provider, platform.project, platform, inputs=inputs, **how)

    assert done.passed, done.logs
    assert platform.running("staging") == first
    assert platform.running("production") == first


def test_github_refuses_production_that_no_person_approves(project, run, tmp_path):
    made = project(deploy_target="heroku")
    made.edit(".github/workflows/ci.yml", "    needs: [deploy-staging]\n", "")
    made.commit()
    refusal = "Refusing to deploy to production: "

    def approve(name, **options):
        folder = tmp_path / name
        folder.mkdir()
        platform = SimpleNamespace(folder=folder)
        return run("github", made, platform, jobs=["approve-production"], **options)

    def refuse(name, **options):
        # act may lose what a short step prints: then it runs again.
        for number in range(3):
            done = approve(f"{name}-{number}", **options)
            if done.passed or refusal in done.logs["approve-production"]:
                break
        return done

    down = "http://localhost:9"
    yes, no = ({"PRODUCTION_WITHOUT_APPROVAL": word} for word in ("yes", "no"))
    assert approve("reviewers").passed
    assert approve("variable", api=down, variables=yes).passed
    refused = {
        "no reviewers": refuse("none", rules=REVIEWED[:1], variables=no),
        "no environment": refuse("missing", rules=None),
        "no API": refuse("down", api=down),
    }
    for case, done in refused.items():
        log = done.logs["approve-production"]
        assert not done.passed, case
        assert refusal in log, (case, log)
        assert "docs/pipeline.md#deploy-production" in log, (case, log)


def every_gate_and_damage():
    """Return pairs of a provider and a damage: each gate on each provider, each damage once.

    tests/running/test_break_it.py shows for each damage that its gate fails, and a pipeline
    knows only that.
    """
    gates = defaultdict(list)
    for name, (_, (gate, _)) in BREAKS.items():
        gates[gate].append(name)
    pairs = []
    for names in gates.values():
        count = max(len(names), len(PROVIDERS))
        pairs += islice(zip(cycle(PROVIDERS), cycle(names), strict=True), count)
    return pairs


@pytest.mark.parametrize(("provider", "name"), every_gate_and_damage())
def test_broken_project_fails_in_one_job(project, run, provider, name):
    damage, (gate, reason) = BREAKS[name]
    broken = project(ci_provider=provider, coverage_threshold=0)
    damage(broken.with_one_short_test())
    done = run(provider, broken, jobs=["test"])

    if gate == "lint":
        job, ends = "lint", ("failure", "skipped")
    else:
        job, ends = "test", ("success", "failure")
    assert (done.results["lint"], done.results["test"]) == ends, done.logs
    assert f": {gate}] Error" in done.logs[job], done.logs[job]
    assert reason in done.logs[job], done.logs[job]
    assert not done.passed
    # Reports are published when a test fails.
    assert reports(done) == ({"coverage.xml", "junit.xml"} if gate == "test" else set())


@of_every_provider
@pytest.mark.parametrize(
    ("service", "name"), [("postgres", "PostgreSQL"), ("redis", "Redis")]
)
def test_missing_service_fails_the_job_test(project, run, provider, service, name):
    broken = project(ci_provider=provider, **FULL)
    broken.edit("scripts/state.py", "PATIENCE = 60", "PATIENCE = 1")
    done = run(provider, broken, without=(service,), jobs=["test"])

    assert (done.results["lint"], done.results["test"]) == ("success", "failure")
    assert f"{name} at " in done.logs["test"], done.logs["test"]
    assert "Connection refused" in done.logs["test"], done.logs["test"]
    assert ": wait] Error" in done.logs["test"], done.logs["test"]
    assert "check --deploy" not in done.logs["test"], done.logs["test"]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_missing_namespaces_skip_runs_except_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match="there is no unshare"):
        require_sandbox()
