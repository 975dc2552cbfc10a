"""The files for Docker, in every combination. test_image.py builds and runs them."""

import pytest
import yaml

from tests.graders.docker import checkov, compose_schema, hadolint
from tests.support.options import FULL, combinations

COMBINATIONS = {
    name: answers
    for name, answers in combinations("redis", "use_docker", "python_version").items()
    if answers["use_docker"]
}
GRADERS = {"Dockerfile": [hadolint, checkov], "compose.yaml": [compose_schema]}


def texts(rendered, name):
    """Return each text that a file has in some combination."""
    return {rendered(**answers).read(name) for answers in COMBINATIONS.values()}


@pytest.mark.parametrize(
    ("name", "grader"),
    [(name, grader) for name, found in GRADERS.items() for grader in found],
)
def test_no_grader_finds_anything_in_any_combination(rendered, tmp_path, name, grader):
    paths = []
    for number, text in enumerate(texts(rendered, name)):
        paths.append(tmp_path / f"{number}.{name}")
        paths[-1].write_text(text)

    assert grader(*paths) == []


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
    (tmp_path / name).write_text(text.replace(old, new))

    assert grader(tmp_path / name)


@pytest.fixture
def compose(rendered):
    return lambda **answers: yaml.safe_load(
        rendered(**answers, use_docker=True).read("compose.yaml")
    )


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_compose_starts_the_chosen_services(rendered, answers):
    services = yaml.safe_load(rendered(**answers).read("compose.yaml"))["services"]

    expected = {"web", "migrate", "postgres", "production", "proxy"}
    expected |= {"redis"} if answers["use_redis"] else set()
    expected |= {"worker"} if answers.get("use_celery") else set()
    assert services.keys() == expected


def test_services_start_after_healthy_dependencies(compose):
    services = compose(**FULL)["services"]

    servers = {name for name, it in services.items() if "healthcheck" in it}
    assert services["migrate"]["depends_on"].keys() == servers == {"postgres", "redis"}
    for name in ("web", "worker", "production"):
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

    assert production["volumes"] == []
    assert "command" not in production
    variables = production["environment"]
    assert variables["DJANGO_SETTINGS_MODULE"] == "config.settings.production"


def test_docker_adds_three_files(rendered):
    assert rendered(use_docker=True).files() - rendered().files() == {
        *(".dockerignore", "Dockerfile", "compose.yaml")
    }
