"""Run pytest with the embedded servers. pyproject.toml loads this."""

import pytest

from scripts.services import provide, wait_for_turn


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Start the servers, and wait while another process uses the test database."""
    # The workers of pytest-xdist get both from the process that starts them.
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    try:
        provide()
        wait_for_turn()
    except SystemExit as error:
        pytest.exit(str(error), returncode=1)
