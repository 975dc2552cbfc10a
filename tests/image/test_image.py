"""Build and run the image with the engine of the docker command."""

import contextlib
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import time
import uuid

import pytest
import yaml

from tests.support.machine import give_up
from tests.support.options import REDIS_STATES
from tests.support.processes import SECURE, add_slow_page, fetch, production, relay
from tests.support.project import closed_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
RELEASE = production()["RELEASE"]
# A shared engine may have no other network.
RUN = ["run", "--rm", "--network", "host"]
IN_THE_IMAGE = {"apps", "config", "manage.py", "pyproject.toml", "requirements.txt"}
IN_THE_IMAGE |= {"__pycache__", "static", "staticfiles", "templates"}


def docker(*command, **options):
    """Run docker; return its exit code and all that it printed."""
    return subprocess.run(
        ["docker", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="module")
def engine():
    """Skip the tests without a container engine; in a pipeline, fail them."""
    try:
        found = docker("version", "--format", "{{.Server.Version}}")
    except FileNotFoundError:
        give_up("there is no docker command")
    if found.returncode:
        give_up(f"no container engine answers: {found.stdout}")
    return {name: os.environ[name] for name in ["DOCKER_HOST"] if name in os.environ}


def use_local_images(project):
    """Drop the digest of each base image that the engine already has under its tag.

    An engine without a registry has stand-ins, which have digests of their own.
    """
    text = project.read("Dockerfile")
    for name, digest in re.findall(r"^FROM (\S+?)(@\S+)", text, re.MULTILINE):
        if docker("image", "inspect", name).returncode == 0:
            text = text.replace(f"{name}{digest}", name)
    (project / "Dockerfile").write_text(text)


def build(project, engine):
    """Build the image with `make image`; return its name."""
    name = f"slipway-test-{uuid.uuid4()}"
    project.make_ok("image", IMAGE=name, RELEASE=RELEASE, **engine)
    return f"{name}:{RELEASE}"


# One worker builds all images: a build uses layers of others, and fails in some engines
# if another worker removes their image.
ANSWERS = [
    pytest.param(REDIS_STATES[name], id=name, marks=pytest.mark.xdist_group("image"))
    for name in ("none", "redis-celery-channels")
]


@pytest.fixture(scope="module", params=ANSWERS)
def project(engine, render_for_module, request):
    project = render_for_module(**request.param, use_docker=True)
    use_local_images(project)
    add_slow_page(project)
    (project / ".env").write_text("DJANGO_SECRET_KEY=a-secret-of-this-machine")
    # A checkout with the umask 077, and a file that everyone can write
    project.run_ok("chmod", "-R", "go=", ".")
    (project / "config" / "urls.py").chmod(0o666)
    return project.installed()


@pytest.fixture(scope="module")
def image(engine, project):
    name = build(project, engine)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture(scope="module")
def variables(project, image):
    """Yield the variables of production, with a database that the image has migrated."""
    (project / ".env").unlink()
    with project.services() as found, contextlib.ExitStack() as stack:
        folder = found["POSTGRES_HOST"]
        port = stack.enter_context(relay(f"{folder}/.s.PGSQL.5432"))
        variables = {name: found[name] for name in found if name.startswith("POSTGRES")}
        uses = found.keys() - variables
        variables |= {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(port)}
        if uses:
            port = stack.enter_context(relay(f"{folder}/valkey.sock"))
        for number, name in enumerate(sorted(uses)):
            variables[name] = f"redis://127.0.0.1:{port}/{number}"
        variables |= production()
        del variables["RELEASE"]  # The image has it,
        del variables["DJANGO_SETTINGS_MODULE"]  # and no .env, so it means production.
        done = docker(*RUN, *given(variables), image, "python", "manage.py", "migrate")
        assert done.returncode == 0, done.stdout
        yield variables


def given(variables):
    """Return the options that give a container these variables."""
    return [f"--env={name}={value}" for name, value in variables.items()]


@contextlib.contextmanager
def container(image, variables, *command, options=(), port=None, code=None):
    """Run a container, with the code that a volume would bring; yield its name and port."""
    name, port = f"slipway-test-{uuid.uuid4()}", port or closed_port()
    options = ["create", "--network", "host", "--name", name, *options]
    done = docker(*options, *given(variables | {"PORT": str(port)}), image, *command)
    assert done.returncode == 0, done.stdout
    try:
        if code:
            subprocess.run(["docker", "cp", "-", f"{name}:/"], input=code, check=True)
        done = docker("start", name)
        assert done.returncode == 0, done.stdout
        yield name, port
    finally:
        docker("rm", "--force", name)


def code_of(project, owner):
    """Return an archive with the project's code in /app, which belongs to this user."""

    def owned(info):
        info.uid = info.gid = owner
        hidden = info.name.startswith(("app/.venv", "app/.services", "app/.cache"))
        return None if hidden else info

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.add(project.path, "app", filter=owned)
    return archive.getvalue()


def result(name):
    """Return the exit code of a container, once it has ended, and what it printed."""
    code = docker("wait", name).stdout.strip()
    return int(code), docker("logs", name).stdout


def eventually(function, name):
    """Return the result of a function once the container is ready for it."""

    def try_it():
        with contextlib.suppress(OSError):
            return function()

    return wait_until(try_it, reason=lambda: docker("logs", name).stdout)


def in_container(image, *command):
    return docker(*RUN, image, *command).stdout.strip()


def test_image_is_ready_and_names_its_release(image, variables):
    with container(image, variables) as (name, port):
        status, body = eventually(lambda: fetch(port, "/readyz"), name)

    assert (status, json.loads(body)["release"]) == (200, RELEASE)


def test_image_serves_its_static_files(image, variables):
    with container(image, variables) as (name, port):
        _, page = eventually(lambda: fetch(port, "/admin/login/", **SECURE), name)
        path = re.search(r'href="(/static/admin/css/base\.\w+\.css)"', page)[1]
        status, _ = fetch(port, path, **SECURE)

    assert status == 200


def test_image_runs_on_a_read_only_disk(image, variables):
    with container(image, variables, options=["--read-only"]) as (name, port):
        status, _ = eventually(lambda: fetch(port, "/readyz"), name)

    assert status == 200


def test_health_check_of_the_image_fails_without_a_database(project, image, variables):
    # Read from the Dockerfile: the image formats of some engines omit it.
    command = re.search(r"HEALTHCHECK .*\\\n *CMD (.*)", project.read("Dockerfile"))[1]
    command = json.loads(command)
    nowhere = variables | {"POSTGRES_PORT": str(closed_port())}

    assert docker(*RUN, *given(variables), image, *command).returncode == 0
    assert docker(*RUN, *given(nowhere), image, *command).returncode == 1


def test_image_finishes_a_request_before_it_stops(image, variables):
    answers = []
    with container(image, variables) as (name, port):
        eventually(lambda: fetch(port, "/healthz"), name)
        thread = threading.Thread(
            target=lambda: answers.append(fetch(port, "/slow", **SECURE))
        )
        thread.start()
        time.sleep(0.5)
        begin = time.monotonic()
        docker("stop", "--time", "25", name)
        thread.join()

    assert answers == [(200, "done")]
    assert time.monotonic() - begin < 15  # It was not killed.


def test_image_runs_the_worker(project, image, variables):
    if not (project / "config" / "celery.py").exists():
        return
    command = ["celery", "--app", "config", "worker"]
    with container(image, variables, *command) as (name, _):
        eventually(lambda: " ready." in docker("logs", name).stdout, name)


@pytest.mark.parametrize("name", ["DJANGO_SECRET_KEY", "SITE_URL", "POSTGRES_HOST"])
def test_image_does_not_start_without_a_required_variable(image, variables, name):
    rest = {key: value for key, value in variables.items() if key != name}

    done = docker(*RUN, *given(rest), image)

    assert done.returncode != 0
    assert name in done.stdout


def test_image_user_cannot_write_the_code(image):
    assert in_container(image, "id", "-u") == "10001"
    assert in_container(image, "find", "/app", "/opt/venv", "-writable") == ""


def test_image_holds_only_the_code_and_its_packages(image):
    assert set(in_container(image, "ls", "-A", "/app").split()) == IN_THE_IMAGE
    tools = in_container(image, "sh", "-c", "ls /opt/venv/bin; command -v uv gcc make")
    assert "gunicorn" in tools
    assert not re.search(r"pytest|black|uv\b|gcc|make", tools), tools


def test_code_in_the_image_is_compiled(image):
    code, compiled = (
        in_container(image, "sh", "-c", f"find apps config -name '{name}' | wc -l")
        for name in ("*.py", "*.pyc")
    )
    assert code == compiled


def test_changed_code_changes_only_one_layer(project, engine, image):
    before = layers(image)
    page = project / "config" / "more_urls.py"
    page.write_text(page.read_text() + "\n# changed\n")
    after = build(project, engine)
    try:
        changed = [old != new for old, new in zip(before, layers(after), strict=True)]
    finally:
        docker("image", "rm", "--force", after)

    assert sum(changed) == 1


def layers(image):
    done = docker("inspect", image, "--format", "{{json .RootFS.Layers}}")
    return json.loads(done.stdout)


def service_of_compose(project, name, variables):
    """Return the command and the environment of a service, on the servers of this test."""
    found = yaml.safe_load(project.read("compose.yaml"))["services"][name]
    own = {name: str(value) for name, value in found["environment"].items()}
    servers = {
        name: value
        for name, value in variables.items()
        if name.startswith("POSTGRES") or value.startswith("redis:")
    }
    servers |= {
        "DATABASE_URL": "postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@"
        "{POSTGRES_HOST}:{POSTGRES_PORT}/{POSTGRES_DB}".format(
            **{"POSTGRES_DB": "my_project", "POSTGRES_USER": "postgres"} | servers
        )
    }
    addresses = {name for name, value in own.items() if "//postgres" in value}
    addresses |= {name for name, value in own.items() if "//redis" in value}
    assert addresses <= servers.keys()
    return found.get("command", ""), own | {key: servers[key] for key in addresses}


def test_production_service_of_compose_serves(project, image, variables):
    command, environment = service_of_compose(project, "production", variables)
    assert not command
    with container(image, environment) as (name, port):
        status, body = eventually(lambda: fetch(port, "/readyz"), name)

    assert (status, json.loads(body)["release"]) == (200, RELEASE)


@pytest.fixture(scope="module")
def development(engine, project, image):
    """Build the stage that Compose uses for development; yield its name."""
    name = f"slipway-test-{uuid.uuid4()}"
    build = ["build", "--target", "development", "--tag", name, "."]
    done = docker(*build, cwd=project.path)
    assert done.returncode == 0, done.stdout
    yield name
    docker("image", "rm", "--force", name)


def test_web_service_of_compose_serves(project, development, variables):
    command, environment = service_of_compose(project, "web", variables)
    port = closed_port()
    command = command.replace("8000", str(port)).split()
    code = code_of(project, 1234)
    options = {"port": port, "code": code}
    with container(development, environment, *command, **options) as (name, _):
        status, body = eventually(lambda: fetch(port, "/readyz"), name)

    assert status == 200, body


@pytest.mark.parametrize("owner", [0, 1234])
def test_development_container_writes_as_the_owner_of_the_code(
    project, development, variables, owner
):
    _, environment = service_of_compose(project, "web", variables)
    command = ["sh", "-c", "python manage.py startapp shop && stat -c %u:%g shop"]
    code = code_of(project, owner)
    with container(development, environment, *command, code=code) as (name, _):
        status, printed = result(name)

    assert (status, printed.strip()) == (0, f"{owner}:{owner}")


def test_tests_pass_in_the_test_service_of_compose(project, development, variables):
    command, environment = service_of_compose(project, "test", variables)
    code = code_of(project, 1234)
    with container(development, environment, *command.split(), code=code) as (name, _):
        status, printed = result(name)

    assert status == 0, printed
