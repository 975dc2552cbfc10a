"""The platforms of all targets for the tests: each has a project, stand-ins and sites."""

from tests.deployment.platforms.fly import Fly
from tests.deployment.platforms.heroku import Heroku
from tests.deployment.platforms.kamal import Kamal
from tests.deployment.platforms.kubernetes import Kubernetes
from tests.deployment.platforms.render import Render, RenderImage

# By the target's name; "-image" marks the second way to deploy to a target.
PLATFORMS = {
    "heroku": Heroku,
    "render": Render,
    "render-image": RenderImage,
    "fly": Fly,
    "kamal": Kamal,
    "kubernetes": Kubernetes,
}


def platform_of(*, deploy_target="none", use_docker=False, **_):
    """Return the platform of a project with these answers, or None."""
    if deploy_target == "none":
        return None
    by_image = f"{deploy_target}-image"
    return PLATFORMS[
        by_image if use_docker and by_image in PLATFORMS else deploy_target
    ]


def make_project(target, rendered, folder, sites):
    """Return a new project of a target, with three commits and with sites of this server.

    Only the last commit adds a migration.
    """
    project = rendered(
        deploy_target=target.partition("-")[0],
        use_docker=PLATFORMS[target].runs_image,
        use_redis=True,
        use_celery=True,
        staging_url="https://staging.example.com",
        production_url="https://production.example.com",
    ).copy_to(folder)
    for name in PLATFORMS[target].names:
        site = f"http://localhost:{sites.server_port}/my-project-{name}"
        project.edit("deploy/environments.toml", f"https://{name}.example.com", site)
    project.commits = project.commit_each("AB")
    (project / "apps/users/migrations/0002_nickname.py").touch()
    project.commits += project.commit_each("C")
    return project
