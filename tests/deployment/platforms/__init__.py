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
