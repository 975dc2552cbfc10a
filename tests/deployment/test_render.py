"""render.yaml agrees with Render's documentation, and with the project's settings.

Render's schema has no licence that permits a copy of it here. It is at
https://render.com/schema/render.yaml.json, and `render blueprints validate` uses it.
"""

import re

import pytest

from tests.support.options import FULL, combinations

# https://render.com/docs/blueprint-spec, of what the template uses; `env`, `autoDeploy` and
# `type: redis` are deprecated there, and `autoDeployTrigger` does nothing for an image.
WEB_OR_WORKER = {"envVars", "name", "plan", "runtime", "type"}
WORKER = WEB_OR_WORKER | {"maxShutdownDelaySeconds"}
BEAT = WEB_OR_WORKER | {"numInstances"}
WEB = WEB_OR_WORKER | {"domains", "healthCheckPath", "preDeployCommand"}
BUILT = {"autoDeployTrigger", "branch", "buildCommand", "startCommand"}
KEYVALUE = {"ipAllowList", "maxmemoryPolicy", "name", "plan", "type"}
KEYS = {
    False: {
        "web": WEB | BUILT,
        "worker": WORKER | BUILT,
        "beat": BEAT | BUILT,
        "keyvalue": KEYVALUE,
    },
    True: {
        "web": WEB | {"image"},
        "worker": WORKER | {"dockerCommand", "image"},
        "beat": BEAT | {"dockerCommand", "image"},
        "keyvalue": KEYVALUE,
    },
}
COMBINATIONS = [
    pytest.param(answers | {"deploy_target": "render"}, id=name)
    for name, answers in combinations("redis", "use_docker").items()
]
in_every_combination = pytest.mark.parametrize("answers", COMBINATIONS)


def environments(project):
    [whole] = project.yaml("render.yaml")["projects"]
    return {
        environment.pop("name"): environment for environment in whole["environments"]
    }


@in_every_combination
def test_each_service_has_the_keys_of_its_type(rendered, answers):
    roles = ["web", *["worker", "beat"] * bool(answers.get("use_celery"))]
    roles += ["keyvalue"] * answers["use_redis"]
    for environment in environments(rendered(**answers)).values():
        services = environment["services"]
        assert environment.keys() == {"services", "databases"}
        # Beat is a worker for Render.
        types = ["worker" if role == "beat" else role for role in roles]
        assert [service["type"] for service in services] == types
        for role, service in zip(roles, services, strict=True):
            assert service.keys() == KEYS[answers["use_docker"]][role]
            assert service.get("numInstances", "1") == "1"
            assert service.get("autoDeployTrigger", "off") == "off"
            assert service["plan"] != "free"


@in_every_combination
def test_databases_have_no_public_access(rendered, answers):
    for environment in environments(rendered(**answers)).values():
        stores = [one for one in environment["services"] if one["type"] == "keyvalue"]
        assert all(
            one["ipAllowList"] == [] for one in stores + environment["databases"]
        )
        assert all(one["maxmemoryPolicy"] == "noeviction" for one in stores)


@in_every_combination
def test_services_refer_only_to_their_environment(rendered, answers):
    for environment in environments(rendered(**answers)).values():
        types = {one["name"]: one["type"] for one in environment["services"]}
        databases = [one["name"] for one in environment["databases"]]
        for service in environment["services"]:
            for variable in service.get("envVars", []):
                if source := variable.get("fromService"):
                    assert types[source["name"]] == source["type"]
                if source := variable.get("fromDatabase"):
                    assert source["name"] in databases


@in_every_combination
def test_each_process_has_the_required_variables(rendered, answers):
    wanted = {"DATABASE_URL", "DJANGO_SECRET_KEY", "DJANGO_SETTINGS_MODULE", "SITE_URL"}
    wanted |= {"REDIS_URL"} if answers["use_redis"] else set()
    for environment in environments(rendered(**answers)).values():
        for service in environment["services"]:
            if service["type"] != "keyvalue":
                proxies = {"TRUSTED_PROXIES"} if service["type"] == "web" else set()
                assert {one["key"] for one in service["envVars"]} == wanted | proxies


@in_every_combination
def test_blueprint_has_the_services_that_deployments_use(rendered, answers):
    project = rendered(**answers)
    settings = project.toml("deploy/environments.toml")["environments"]
    for name, environment in environments(project).items():
        web, *others = environment["services"]
        made = [one["name"] for one in (web, *others) if one["type"] != "keyvalue"]
        assert made == settings[name]["services"]
        assert [f"https://{host}" for host in web["domains"]] == [settings[name]["url"]]
        assert web["healthCheckPath"] == "/readyz"
        assert "migrate" in web["preDeployCommand"]


def test_all_services_run_one_image(rendered):
    project = rendered(**FULL, use_docker=True, deploy_target="render")
    for environment in environments(project).values():
        *services, _ = environment["services"]
        for service in services:
            assert service["runtime"] == "image"
            assert re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", service["image"]["url"])
            credential = service["image"]["creds"]["fromRegistryCreds"]["name"]
            assert f"`{credential}`" in project.read("docs/deployment.md")
            assert service["image"] == services[0]["image"]
    assert project.read("render.yaml").count("@sha256:") == 1


@pytest.mark.parametrize("number", [1, 2])
def test_worker_has_one_command_for_images_and_commits(rendered, number):
    commands = [
        environments(rendered(**FULL, use_docker=use_docker, deploy_target="render"))[
            "staging"
        ]["services"][number][key]
        for use_docker, key in ((True, "dockerCommand"), (False, "startCommand"))
    ]

    assert commands[1] == f"RELEASE=${{RELEASE:-$RENDER_GIT_COMMIT}} {commands[0]}"
    # Render starts a container's command without a shell.
    assert not set("&|;$'\"") & set(commands[0])
