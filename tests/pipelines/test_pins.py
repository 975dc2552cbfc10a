"""Every image and every action of a pipeline is pinned."""

import re
import sys

import pytest

from tests.pipelines.answers import (
    EVERY_OPTION,
    TARGETS,
    check_pipelines,
    of_every_provider,
    pipeline_of,
)
from tests.pipelines.model import PINNED_IMAGE, PINNED_UV
from tests.pipelines.readers import READERS, github, parse
from tests.support.options import TEMPLATE, choices
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
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
        assert PINNED_IMAGE.fullmatch(image) or PINNED_UV.fullmatch(image), image


def test_job_with_secrets_runs_in_an_image_with_a_digest(every_pipeline):
    def has_digest(name, project):
        for jobs in pipeline_of(name, project).values():
            for job in jobs.values():
                assert not (job.secrets and "uv" in job.tools), job

    check_pipelines(every_pipeline, has_digest, CODE)


@of_every_python
def test_image_of_the_project_is_built_from_digests(rendered, version):
    project = rendered(**EVERY_OPTION | {"python_version": version})
    text = project.read("Dockerfile") + project.read("compose.yaml")
    images = re.findall(r"^ *(?:FROM|image:) (\S+:\S+)", text, re.MULTILINE)
    others = [image for image in images if not image.startswith("my-project:")]
    assert len(others) == 6
    for image in others:
        assert PINNED_IMAGE.fullmatch(image), image


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
        "node:24.19.0-trixie",
        "python:3.14.7-trixie",
        "ghcr.io/astral-sh/uv:0.13.0@sha256:" + 63 * "a",
    ],
)
def test_unpinned_image_is_seen(image):
    assert not PINNED_IMAGE.fullmatch(image)
    assert not PINNED_UV.fullmatch(image)


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
