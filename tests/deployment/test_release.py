"""A platform's own name for the commit reaches the settings, as the neutral RELEASE."""

import os

import pytest

from tests.support.options import REDIS_STATES

PROGRAM = '#!/bin/sh\necho "$RELEASE"\n'


def heroku(project):
    """Return the commands of Heroku's processes by name."""
    return dict(line.split(": ", 1) for line in project.read("Procfile").splitlines())


def render(project):
    """Return the commands of Render's services by name, which both environments share."""
    [whole] = project.yaml("render.yaml")["projects"]
    found = {}
    for environment in whole["environments"]:
        web, *others = (
            it for it in environment["services"] if it["type"] != "keyvalue"
        )
        commands = {"web": web["startCommand"], "release": web["preDeployCommand"]}
        for it in others:
            commands[it["name"].rpartition("-")[2]] = it["startCommand"]
        assert found in ({}, commands)
        found = commands
    return found


@pytest.mark.parametrize(
    ("target", "find_commands", "variable"),
    [
        ("heroku", heroku, "HEROKU_BUILD_COMMIT"),
        ("render", render, "RENDER_GIT_COMMIT"),
    ],
)
@pytest.mark.parametrize("process", ["web", "worker", "beat", "release"])
@pytest.mark.parametrize(
    ("own", "found"),
    [({}, "1f2e3d"), ({"RELEASE": ""}, "1f2e3d"), ({"RELEASE": "4c5b6a"}, "4c5b6a")],
)
def test_process_gets_the_commit_of_the_platform(
    rendered, tmp_path, target, find_commands, variable, process, own, found
):
    project = rendered(**REDIS_STATES["redis-celery"], deploy_target=target)
    for name in ("celery", "gunicorn", "python"):
        (tmp_path / name).write_text(PROGRAM)
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    variables |= {variable: "1f2e3d", **own}

    done = project.run_ok("bash", "-c", find_commands(project)[process], **variables)

    assert done.stdout == f"{found}\n"
