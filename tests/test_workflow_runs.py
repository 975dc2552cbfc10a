import contextlib
import fcntl
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from act import UV, run_workflow
from options import REDIS_STATES
from workflow import WORKFLOW, published_port

FULL = REDIS_STATES["redis-celery-channels"]
PYTHON = {"python_version": "3.13"}
PATIENCE = 60  # seconds that a server may take to start or to end


@pytest.mark.slow
def test_the_workflow_of_a_project_without_redis_is_green(project_without_redis, act):
    run, servers = act(project_without_redis)
    assert run.results["lint"] == run.results["test"] == "success", run.logs
    assert_audited_or_offline(run)
    assert_reported(run)
    assert "database=test_my_project" in servers["postgres"]()


@pytest.mark.slow
def test_the_workflow_of_a_project_with_every_role_of_redis_is_green(render, act):
    run, servers = act(render(**FULL, **PYTHON), "--job=test")
    assert run.results["lint"] == run.results["test"] == "success", run.logs
    assert_reported(run)
    assert "database=test_my_project" in servers["postgres"]()
    assert "cmdstat_set:" in servers["redis"]()


@pytest.mark.slow
def test_a_formatting_error_turns_lint_red_and_test_does_not_run(
    project_without_redis, tmp_path
):
    project_without_redis.edit("manage.py", "import os", "import  os")
    project_without_redis.commit()
    run = run_workflow(project_without_redis, tmp_path, "--job=test")
    assert (run.results["lint"], run.results["test"]) == ("failure", "skipped")
    assert "would reformat" in run.logs["lint"]


@pytest.mark.slow
def test_a_model_change_without_a_migration_turns_test_red(project_without_redis, act):
    models = project_without_redis / "apps/users/models.py"
    models.write_text(models.read_text() + "\n    nickname = models.CharField()\n")
    run, _ = act(project_without_redis, "--job=test")
    assert (run.results["lint"], run.results["test"]) == ("success", "failure")
    assert "Add field nickname to user" in run.logs["test"]
