"""Each platform gives a worker the time to finish its tasks, or to return them."""

import re

import pytest


def fly(project):
    return int(project.toml("deploy/fly/production.toml")["kill_timeout"].rstrip("s"))


def kamal(project):
    return project.yaml("deploy/kamal/deploy.yml")["drain_timeout"]


def kubernetes(project):
    (worker,) = project.documents("deploy/kubernetes/base/worker.yaml")
    return worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def render(project):
    (whole,) = project.yaml("render.yaml")["projects"]
    return whole["environments"][0]["services"][1]["maxShutdownDelaySeconds"]


@pytest.mark.parametrize("find_grace", [fly, kamal, kubernetes, render])
def test_each_task_ends_before_its_worker_is_killed(rendered, find_grace):
    target = find_grace.__name__
    project = rendered(
        deploy_target=target, use_docker=True, use_redis=True, use_celery=True
    )

    assert setting(project, "CELERY_TASK_TIME_LIMIT") < int(find_grace(project))


def test_heroku_worker_returns_its_tasks_before_it_is_killed(rendered):
    project = rendered(deploy_target="heroku", use_redis=True, use_celery=True)

    assert " REMAP_SIGTERM=SIGQUIT celery " in project.read("Procfile")
    # https://devcenter.heroku.com/articles/dyno-shutdown-behavior
    assert setting(project, "CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT") <= 30 - 10


def setting(project, name):
    """Return the value of a setting that is a number."""
    (value,) = re.findall(
        rf"^{name} = ([0-9]+)", project.read("config/settings/base.py"), re.MULTILINE
    )
    return int(value)
