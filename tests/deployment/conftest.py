"""Platforms with stand-ins, for the tests that deploy to them."""

import functools

import pytest

from tests.deployment.platforms import PLATFORMS, make_project
from tests.deployment.sites import Sites, serving


@pytest.fixture(scope="session")
def site_server():
    with serving(Sites()) as server:
        yield server


@pytest.fixture(scope="session")
def project_for(rendered, site_server, tmp_path_factory):
    """Return a function that returns the project of a target, with three commits.

    Only the last one adds a migration.
    """

    @functools.cache
    def project_for(target):
        folder = tmp_path_factory.mktemp(target) / "project"
        return make_project(target, rendered, folder, site_server)

    return project_for


@pytest.fixture
def created(project_for, site_server, tmp_path):
    """Return a function that returns the platform of a target before its first release."""
    platforms = []

    def created(target):
        platform = PLATFORMS[target](project_for(target), tmp_path, site_server)
        platforms.append(platform)
        return platform

    yield created
    for platform in platforms:
        platform.stop()


@pytest.fixture
def running(created):
    """Return a function that returns a platform that runs commit A everywhere."""

    def running(target):
        platform = created(target)
        platform.run_first()
        return platform

    return running
