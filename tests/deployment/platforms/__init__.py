"""The platforms of all targets, for the tests: each is a project, stand-ins and sites."""

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
