"""Platforms with stand-ins, for the tests that deploy to them."""

import functools

import pytest

from tests.deployment.platforms import PLATFORMS
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
        project = rendered(
            deploy_target=target.partition("-")[0],
            use_docker=PLATFORMS[target].runs_image,
            use_redis=True,
            use_celery=True,
            staging_url="https://staging.example.com",
            production_url="https://production.example.com",
        ).copy_to(tmp_path_factory.mktemp(target) / "project")
        for name in PLATFORMS[target].names:
            site = f"http://localhost:{site_server.server_port}/my-project-{name}"
            project.edit(
                "deploy/environments.toml", f"https://{name}.example.com", site
            )
        project.commits = project.commit_each("AB")
        (project / "apps/users/migrations/0002_nickname.py").touch()
        project.commits += project.commit_each("C")
        return project

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
