"""The documentation agrees with the template, and its commands work."""

import ast
import re

import pytest

from tests.support.options import FULL, QUESTIONS, TEMPLATE, choices, combinations

PAGES = [TEMPLATE / "README.md", *sorted(TEMPLATE.glob("docs/**/*.md"))]

# The commands of the delivered pages that another file runs.
ELSEWHERE = {
    "make ci",  # test_generated.py
    "make newest",  # test_nightly.py
    "make dev",  # test_dev.py, as the next two
    "make manage ARGS=createsuperuser",
    "make worker",
    "make help",
    "make publish",  # test_publish.py
    # They want a registry with an image.
    "docker buildx imagetools inspect IMAGE:COMMIT --format '{% raw %}{{ json .Provenance }}{% endraw %}'",
    "docker buildx imagetools inspect IMAGE:COMMIT --format '{% raw %}{{ json .SBOM }}{% endraw %}'",
    "make deploy",  # test_sequence.py, as the next two
    "make deploy ENVIRONMENT=staging",
    "make rollback",
    "make smoke",  # test_smoke.py
    "make tools",  # test_tools.py
    "make image",  # test_image.py, as the next two
    "docker compose up --build",
    "docker compose --profile production up --build proxy",
    "make audit",  # test_runs.py
    "uvx copier update",  # test_copier.py
    "gunicorn --config config/gunicorn.py",  # test_server.py, as the next two
    "celery --app config worker --loglevel info",
    "python manage.py collectstatic --noinput",
}
DELIVERED = "".join(
    (TEMPLATE / "template" / name).read_text()
    for name in ("README.md.jinja", "docs/migrations.md", "docs/pipeline.md.jinja")
)
# The platforms' commands, and their options, as they stand in the sources of
# github.com/heroku/cli (11.10), github.com/render-oss/cli (2.24), of
# github.com/superfly/flyctl (0.4.87), and of Kamal (2.11) with its proxy (0.9.2). With
# Kamal come commands of Debian, OpenSSH and Docker.
PLATFORMS = {
    "flyctl apps create": set(),
    "flyctl auth login": set(),
    "flyctl certs add": {"--app"},
    "flyctl deploy": {"--app", "--image", "--skip-release-command"},
    "flyctl ips allocate": {"--app"},
    "flyctl logs": {"--app", "--no-tail"},
    "flyctl mpg attach": {"--app"},
    "flyctl mpg create": {"--name", "--pg-major-version", "--plan", "--region"},
    "flyctl redis create": {
        "--disable-eviction",
        "--name",
        "--no-replicas",
        "--region",
    },
    "flyctl redis plans": set(),
    "flyctl releases": {"--app", "--image"},
    "flyctl scale count": set(),
    "flyctl secrets set": {"--app", "--stage"},
    'export FLY_API_TOKEN="$(flyctl auth token)"': set(),
    "flyctl status": {"--app"},
    "flyctl tokens create deploy": {"--app", "--expiry"},
    "cat staging_key.pub ~/.ssh/id_ed25519.pub | ssh root@": {"--mode"},
    "cat production_key.pub ~/.ssh/id_ed25519.pub | ssh root@": {"--mode"},
    "chmod 600": set(),
    "docker exec kamal-proxy kamal-proxy deploy": {
        *("--health-check-path", "--host", "--target", "--tls")
    },
    "docker logs": {"--tail"},
    "docker ps": {"--all", "--filter"},
    "docker start": set(),
    "kamal lock release": {"--config-file", "--destination"},
    "scp -p": set(),
    "ssh deploy@": set(),
    "ssh root@": {"--create-home", "--groups", "--shell", "--yes"},
    "ssh-keygen": set(),
    "ssh-keyscan": set(),
    "kubectl apply": {"--filename", "--namespace"},
    "kubectl config view": {"--flatten", "--minify", "--namespace", "--output"},
    "kubectl create namespace": set(),
    "kubectl create rolebinding": {"--namespace", "--role", "--serviceaccount"},
    "kubectl describe replicaset": {"--namespace"},
    "kubectl get replicasets": {"--namespace", "--output", "--sort-by"},
    "kubectl create secret docker-registry": {
        *("--namespace", "--docker-server", "--docker-username", "--docker-password")
    },
    "kubectl create secret generic": {"--namespace", "--from-env-file"},
    "kubectl get pods": {"--namespace"},
    "kubectl label namespace": set(),
    "kubectl logs": {"--namespace", "--tail"},
    "kubectl patch serviceaccount": {"--namespace", "--patch"},
    "kubectl rollout undo": {"--namespace", "--to-revision"},
    "kubectl wait": {"--for", "--namespace"},
    "heroku addons:create": {"--app", "--wait"},
    "heroku apps:create": {"--no-remote"},
    "heroku authorizations:create": {"--description", "--scope"},
    "heroku config:set": {"--app"},
    "heroku domains:add": {"--app"},
    "heroku features:enable": {"--app"},
    "heroku labs:enable": {"--app"},
    "heroku login": set(),
    "heroku logs": {"--app", "--tail"},
    "heroku pipelines:add": {"--app", "--stage"},
    "heroku pipelines:create": {"--app", "--stage"},
    "heroku ps:scale": {"--app"},
    "heroku releases": {"--app", "--json", "--num"},
    "heroku releases:output": {"--app"},
    "heroku releases:rollback": {"--app"},
    "render blueprints validate": set(),
    "render deploys create": {
        *("--commit", "--confirm", "--image", "--output", "--wait")
    },
    "render deploys list": {"--output"},
    "render logs": {"--resources", "--tail"},
    "render services": {"--output"},
}
# test_deliver.py, test_kamal.py and test_tools.py run these.
DELIVERY = r"make tools|make (deploy|rollback)( ENVIRONMENT=(staging|production))?|make smoke URL=https\S+"


def commands(text):
    """Return the commands of a page: lines of console blocks, and those in its text."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    text_of_blocks = re.sub(r"{%.*%}\n", "", "".join(blocks))
    lines = [line.partition("#")[0].strip() for line in text_of_blocks.splitlines()]
    return {*lines, *re.findall(r"`((?:make|uvx|python) [^`]+)`", text)} - {""}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_questions_are_those_of_copier_yml():
    page = (TEMPLATE / "docs" / "questions.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", page, re.MULTILINE)

    assert [name for name, _, _ in rows] == list(QUESTIONS)
    for name, offered, default in rows:
        if "choices" in QUESTIONS[name]:
            assert offered.split(", ") == choices(name)
        stated = str(QUESTIONS[name]["default"])
        assert default in (stated, stated.lower(), "from the name", "a sentence")


def test_targets_that_the_pages_name_exist():
    makefiles = [TEMPLATE / "Makefile", TEMPLATE / "template" / "Makefile.jinja"]
    text = "".join(makefile.read_text() for makefile in makefiles)
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", page.read_text(), re.M)
        assert {a or b for a, b in named} <= targets, page.name


@pytest.mark.parametrize(
    "answers", combinations("redis", "use_docker", "deploy_target").values(), ids=str
)
def test_the_page_on_delivery_has_commands_that_exist(rendered, answers):
    if answers["deploy_target"] == "none":
        return
    page = rendered(**answers).read("docs/delivery.md")
    found = commands(page) | set(
        re.findall("`((?:flyctl|heroku|kamal|kubectl|render) [^`]+)`", page)
    )

    for command in found - {
        "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
    }:
        if not re.fullmatch(DELIVERY, command):
            name = next(
                name for name in sorted(PLATFORMS)[::-1] if command.startswith(name)
            )
            assert set(re.findall(r" (--[a-z-]+)", command)) <= PLATFORMS[name], command


@pytest.mark.parametrize(
    ("target", "use_docker", "constant"),
    [
        ("heroku", False, "VARIABLES"),
        ("render", False, "VARIABLES"),
        ("render", True, "VARIABLES"),
        ("fly", True, "VARIABLES"),
        ("kamal", True, "REGISTRY"),
    ],
)
def test_the_page_on_delivery_names_every_variable_that_a_delivery_needs(
    rendered, target, use_docker, constant
):
    project = rendered(deploy_target=target, use_docker=use_docker)
    module = ast.parse(project.read(f"deploy/{target}.py"))
    [names] = [
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and node.targets[0].id == constant
    ]

    image = ["IMAGE"] * ("deploy/image.py" in project.files())
    page = project.read("docs/delivery.md")
    for name in [*names, *image]:
        assert re.search(rf"^\| (`\w+`, )?`{name}`", page, re.MULTILINE), name


@pytest.fixture(scope="module")
def project(render_for_module):
    project = render_for_module(**FULL)
    project.commit()
    return project.installed()


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(commands(DELIVERED) - ELSEWHERE))
def test_a_command_of_the_delivered_pages_works(project, command):
    if command.startswith("python manage.py"):
        # In production the environment is there; here make brings it.
        command = command.replace("python manage.py ", "make manage ARGS=")
        project.make("manage", "ARGS=migrate")

    project.run_ok("bash", "-c", command)
