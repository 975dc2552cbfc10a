"""fly.toml agrees with Fly.io's documentation, and with the project's settings.

No package has SchemaStore's schema of fly.toml, and flyctl has none.
"""

import ast
import re
import shlex

import pytest

from tests.deployment.platforms import Fly
from tests.support.options import combinations

# https://fly.io/docs/reference/configuration/, of what the template uses.
KEYS = {
    "": {"app", "kill_signal", "kill_timeout", "primary_region"}
    | {"deploy", "env", "http_service", "processes", "vm"},
    "deploy": {"release_command", "release_command_timeout", "strategy"}
    | {"wait_timeout"},
    "http_service": {"checks", "concurrency", "force_https", "internal_port"}
    | {"processes"},
    "http_service.checks": {"grace_period", "interval", "path", "timeout"},
    "http_service.concurrency": {"soft_limit", "type"},
    "vm": {"memory", "size"},
}
NAMES = {"env", "processes"}  # The keys of these are the project's.
UNITS = {"s": 1, "m": 60}
USES = {
    name: answers | {"deploy_target": "fly", "use_docker": True}
    for name, answers in combinations("redis").items()
}
of_every_configuration = pytest.mark.parametrize(
    ("answers", "environment"),
    [
        pytest.param(answers, environment, id=f"{name}-{environment}")
        for name, answers in USES.items()
        for environment in Fly.names
    ],
)


def configuration(project, environment):
    return project.toml(f"deploy/fly/{environment}.toml")


def tables(value, name=""):
    """Return each table of a configuration with its name."""
    if isinstance(value, list):
        return [found for item in value for found in tables(item, name)]
    if not isinstance(value, dict) or name in NAMES:
        return []
    inner = [tables(value[key], f"{name}.{key}".strip(".")) for key in value]
    return [(name, value), *(found for part in inner for found in part)]


def seconds(text):
    number, unit = re.fullmatch("([0-9]+)([sm])", text).groups()
    return int(number) * UNITS[unit]


def setting(project, name):
    """Return a number that config/gunicorn.py assigns, or its default there."""
    for node in ast.parse(project.read("config/gunicorn.py")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            numbers = [it for it in ast.walk(node) if isinstance(it, ast.Constant)]
            return next(it.value for it in numbers[::-1] if type(it.value) is int)
    return None


@of_every_configuration
def test_each_table_has_documented_keys(rendered, answers, environment):
    for name, table in tables(configuration(rendered(**answers), environment)):
        assert table.keys() <= KEYS[name], name


@of_every_configuration
def test_configuration_names_the_app_that_deployments_use(
    rendered, answers, environment
):
    names = {f"{name}_app": f"{name}-shop" for name in Fly.names}
    urls = {f"{name}_url": f"https://{name}.example.org" for name in Fly.names}
    project = rendered(**answers, **names, **urls)
    found = configuration(project, environment)
    named = project.toml("deploy/environments.toml")["environments"][environment]

    assert (found["app"], found["env"]["SITE_URL"]) == (named["app"], named["url"])
    assert found["app"] == f"{environment}-shop"


@pytest.mark.parametrize("answers", USES.values(), ids=USES)
def test_environments_differ_only_in_name_and_address(rendered, answers):
    staging, production = (
        configuration(rendered(**answers), name) for name in Fly.names
    )
    staging["app"] = production["app"]
    staging["env"]["SITE_URL"] = production["env"]["SITE_URL"]

    assert staging == production


@of_every_configuration
def test_configuration_has_no_secret(rendered, answers, environment):
    found = configuration(rendered(**answers), environment)

    site = found["env"].pop("SITE_URL")
    assert site.startswith("https://")
    assert found["env"] == {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        # https://fly.io/docs/networking/request-headers/#x-forwarded-for
        "TRUSTED_PROXIES": "2",
    }


@of_every_configuration
def test_image_runs_each_process_and_the_migrations(rendered, answers, environment):
    project = rendered(**answers)
    found = configuration(project, environment)
    image = re.findall(r"^CMD (.*)$", project.read("Dockerfile"), re.MULTILINE)[-1]

    assert shlex.split(found["processes"]["web"]) == ast.literal_eval(image)
    processes = {"web", "worker", "beat"} if answers.get("use_celery") else {"web"}
    assert found["processes"].keys() == processes
    assert found["deploy"]["release_command"] == "python manage.py migrate --noinput"
    # Fly.io puts the entry point of an image before each of these.
    published = project.read("Dockerfile").rpartition("\nFROM ")[2]
    assert "ENTRYPOINT" not in published


@of_every_configuration
def test_health_check_uses_the_port_of_the_server(rendered, answers, environment):
    project = rendered(**answers)
    service = configuration(project, environment)["http_service"]
    [check] = service["checks"]

    assert service["processes"] == ["web"]
    assert service["internal_port"] == setting(project, "port")
    assert check["path"] == "/readyz"
    # The checks behind /readyz take this long at most.
    assert "\nTIMEOUT = 3 " in project.read("apps/health/runner.py")
    assert 3 < seconds(check["timeout"]) < seconds(check["interval"])


@of_every_configuration
def test_process_has_time_to_stop(rendered, answers, environment):
    project = rendered(**answers)
    found = configuration(project, environment)
    grace = seconds(found["kill_timeout"])

    assert found["kill_signal"] == "SIGTERM"
    assert setting(project, "graceful_timeout") < grace <= 300
    if answers.get("use_celery"):
        settings = project.read("config/settings/base.py")
        [limit] = re.findall("CELERY_TASK_TIME_LIMIT = ([0-9]+)", settings)
        assert grace > int(limit)
    # flyctl waits this long for a machine to stop and start.
    assert seconds(found["deploy"].get("wait_timeout", "5m")) > grace


@of_every_configuration
def test_request_limit_matches_the_server(rendered, answers, environment):
    project = rendered(**answers)
    concurrency = configuration(project, environment)["http_service"]["concurrency"]

    assert concurrency["type"] == "requests"
    if threads := setting(project, "threads"):
        assert concurrency["soft_limit"] == setting(project, "workers") * threads
    else:
        assert concurrency["soft_limit"] > 100  # A WebSocket counts while it is open.
