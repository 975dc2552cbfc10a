"""Every image and every action of a pipeline is pinned."""

import re

import pytest

from tests.pipelines.answers import EVERY_OPTION, TARGETS, of_every_provider
from tests.pipelines.model import PINNED_IMAGE, PINNED_NODE, PINNED_UV
from tests.pipelines.readers import READERS, github, parse
from tests.support.options import TEMPLATE, choices

of_every_python = pytest.mark.parametrize("version", choices("python_version"))


@of_every_provider
@of_every_python
@pytest.mark.parametrize("target", TARGETS)
def test_every_image_is_pinned(rendered, provider, version, target):
    answers = EVERY_OPTION | {"ci_provider": provider, "python_version": version}
    project = rendered(**answers | {"deploy_target": target})
    images = READERS[provider].images(parse(provider, project))
    assert images
    for image in images:
        pins = (PINNED_IMAGE, PINNED_UV, PINNED_NODE)
        assert any(pin.fullmatch(image) for pin in pins), image


@pytest.mark.parametrize(
    "image",
    [
        "postgres:18",
        "postgres@sha256:" + 64 * "a",
        "redis:8.10.2@sha256:" + 63 * "a",
        "ghcr.io/astral-sh/uv:latest",
        "ghcr.io/astral-sh/uv:0.13-python3.13-trixie",
        "cimg/python:3.13",
        "docker:29-cli@sha256:" + 63 * "a",
        "docker:29.8.1-cli",
        "moby/buildkit@sha256:" + 64 * "a",
        "node:24-trixie",
        "node:24.19.0",
    ],
)
def test_unpinned_image_is_seen(image):
    assert not PINNED_IMAGE.fullmatch(image)
    assert not PINNED_UV.fullmatch(image)
    assert not PINNED_NODE.fullmatch(image)


def test_docker_and_its_server_have_one_version():
    pins = (TEMPLATE / "extensions" / "pins.jinja").read_text()
    versions = re.findall(r'"docker:([\d.]+)-(cli|dind)@', pins)
    assert [part for _, part in versions] == ["cli", "dind"]
    assert len({version for version, _ in versions}) == 1


@pytest.mark.parametrize("provider", ["gitlab", "circleci"])
@of_every_python
def test_job_image_has_the_projects_python_and_uv(rendered, provider, version):
    project = rendered(ci_provider=provider, python_version=version)
    images = READERS[provider].images(parse(provider, project))
    found = {image for image in images if "astral-sh" in image}
    assert found == {
        f"ghcr.io/astral-sh/uv:{uv_version(project)}-python{version}-trixie"
    }


def uv_version(project):
    """Return the version of uv that the Makefile installs."""
    (uv,) = re.findall("^UV_VERSION := (.+)$", project.read("Makefile"), re.M)
    return uv


@pytest.mark.parametrize("name", github.FILES)
def test_github_and_make_use_the_same_uv(rendered, name):
    project = rendered(**EVERY_OPTION)
    used = re.findall(r"setup-uv@.*\n.*\n +version: (.+)", project.read(name))
    assert used
    assert set(used) == {uv_version(project)}


@pytest.mark.parametrize("name", [*github.FILES, github.ROLLBACK])
def test_every_action_has_a_commit_and_a_version(rendered, name):
    assert github.unpinned(rendered(**EVERY_OPTION).read(name)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@", "@v7 # @"),
        (r" # v[\d.]+", ""),
        (r"@[0-9a-f]{8}", "@"),
        (r"@[0-9a-f]{40} # ", "@"),
    ],
)
def test_unpinned_action_is_seen(rendered, old, new):
    text = rendered(**EVERY_OPTION).read(github.CHANGE)
    assert not github.unpinned(text)
    uses = re.search("uses: .*", text)[0]
    assert github.unpinned(text.replace(uses, re.sub(old, new, uses, count=1)))
