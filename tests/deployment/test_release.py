"""A platform's own name for the commit reaches the settings, as the neutral RELEASE."""

import os

import pytest

GUNICORN = '#!/bin/sh\necho "$RELEASE"\n'


def heroku(project):
    lines = dict(line.split(": ", 1) for line in project.read("Procfile").splitlines())
    return lines["web"]


def render(project):
    [whole] = project.yaml("render.yaml")["projects"]
    commands = {
        environment["services"][0]["startCommand"]
        for environment in whole["environments"]
    }
    [command] = commands
    return command


@pytest.mark.parametrize(
    ("target", "find_command", "variable"),
    [
        ("heroku", heroku, "HEROKU_BUILD_COMMIT"),
        ("render", render, "RENDER_GIT_COMMIT"),
    ],
)
@pytest.mark.parametrize(
    ("own", "found"),
    [({}, "1f2e3d"), ({"RELEASE": ""}, "1f2e3d"), ({"RELEASE": "4c5b6a"}, "4c5b6a")],
)
def test_web_process_gets_the_commit_of_the_platform(
    rendered, tmp_path, target, find_command, variable, own, found
):
    project = rendered(deploy_target=target)
    (tmp_path / "gunicorn").write_text(GUNICORN)
    (tmp_path / "gunicorn").chmod(0o755)
    variables = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    variables |= {variable: "1f2e3d", **own}

    done = project.run_ok("bash", "-c", find_command(project), **variables)

    assert done.stdout == f"{found}\n"
