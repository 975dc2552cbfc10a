"""The files for Docker, in every combination. test_image.py builds and runs them."""

import sys

import pytest
import yaml

from tests.graders.contents import finds_defect, refuse_graded
from tests.graders.docker import checkov, compose_schema, hadolint
from tests.support.contents import check_each, contents
from tests.support.options import EVERY_COMBINATION, FULL
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
GRADERS = {"Dockerfile": [hadolint, checkov], "compose.yaml": [compose_schema]}


@pytest.mark.parametrize(
    ("name", "grader"),
    [(name, grader) for name, found in GRADERS.items() for grader in found],
)
def test_no_grader_finds_a_defect_in_any_combination(
    every_project, tmp_path, name, grader
):
    owners = contents(every_project, name)
    assert owners
    refuse_graded(grader, owners, tmp_path)


@pytest.mark.parametrize(
    ("grader", "name", "old", "new"),
    [
        (hadolint, "Dockerfile", "EXPOSE 8000", "EXPOSE 80000"),
        (checkov, "Dockerfile", "USER 10001:10001\n", ""),
        (compose_schema, "compose.yaml", "depends_on", "depend_on"),
    ],
)
def test_graders_find_a_defect(rendered, tmp_path, grader, name, old, new):
    text = rendered(**FULL, use_docker=True).read(name)
    assert old in text

    assert finds_defect(grader, text.replace(old, new), tmp_path / name)


@pytest.fixture
def compose(rendered):
    return lambda **answers: yaml.safe_load(
        rendered(**answers, use_docker=True).read("compose.yaml")
    )


def services(answers):
    """Return the services that Compose starts in a project with these answers."""
    found = {"web", "migrate", "test", "postgres", "production", "proxy"}
    found |= {"redis"} if answers["use_redis"] else set()
    return found | ({"worker", "beat"} if answers.get("use_celery") else set())


def test_compose_starts_the_chosen_services(every_project):
    def key(name, project):
        return [project.tree["compose.yaml"], sorted(services(EVERY_COMBINATION[name]))]

    def starts_the_chosen_services(name, project):
        found = yaml.safe_load(project.read("compose.yaml"))["services"]
        assert found.keys() == services(EVERY_COMBINATION[name])

    with_docker = {
        name: project
        for name, project in every_project.items()
        if EVERY_COMBINATION[name]["use_docker"]
    }
    check_each(with_docker, key, starts_the_chosen_services, CODE)


def test_services_start_after_healthy_dependencies(compose):
    services = compose(**FULL)["services"]

    servers = {name for name, it in services.items() if "healthcheck" in it}
    assert servers == {"postgres", "redis"}
    for name in ("migrate", "test"):
        needs = services[name]["depends_on"]
        assert needs == dict.fromkeys(servers, {"condition": "service_healthy"})
    for name in ("web", "worker", "beat", "production"):
        needs = services[name]["depends_on"]
        assert needs == {"migrate": {"condition": "service_completed_successfully"}}


def test_compose_keeps_data_in_volumes(compose):
    file = compose(**FULL)

    for name, folder in (("postgres", "/var/lib/postgresql"), ("redis", "/data")):
        assert file["services"][name]["volumes"] == [f"{name}:{folder}"]
        assert name in file["volumes"]


def test_compose_publishes_ports_only_on_localhost(compose):
    for service in compose(**FULL)["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_compose_runs_the_production_image_unchanged(compose):
    production = compose(**FULL)["services"]["production"]

    assert production["volumes"] == production["env_file"] == []
    assert production["build"] == "."
    assert "command" not in production
    variables = production["environment"]
    assert variables["DJANGO_SETTINGS_MODULE"] == "config.settings.production"


def test_env_file_is_optional_and_has_no_addresses_of_servers(compose):
    services = compose(**FULL)["services"]

    for name in ("web", "worker", "beat", "migrate", "test"):
        assert services[name]["env_file"] == [{"path": ".env", "required": False}]
        variables = services[name]["environment"]
        assert "@postgres/" in variables["DATABASE_URL"]
        addresses = [it for it in variables.values() if "//redis:6379/" in str(it)]
        assert len(addresses) == 4


def test_docker_adds_three_files(rendered):
    assert rendered(use_docker=True).files() - rendered().files() == {
        *(".dockerignore", "Dockerfile", "compose.yaml")
    }
