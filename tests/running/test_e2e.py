"""The tests in a browser see what is broken there, on their own server and on a site.

tests/pipelines/test_runs.py shows that they pass on their own server.
"""

import re
import shutil

import pytest

from tests.support.machine import find_chromium
from tests.support.processes import running

pytestmark = pytest.mark.slow

HEADER = "X-Guard: hush-hush-42"
# Refuses a visitor without the header, as a sign-on in front of staging does.
GUARD = """
from django.http import HttpResponseForbidden


def guard(get_response):
    def answer(request):
        if request.headers.get("X-Guard") == "hush-hush-42":
            return get_response(request)
        return get_response(request) if request.path == "/healthz" else refusal()

    return answer


def refusal():
    return HttpResponseForbidden("Sign in first.")
"""
SERVE = ["sh", "-c", 'exec .venv/bin/python manage.py runserver --noreload "$PORT"']
# A click waits as long for the page of a form.
PATIENCE = "    context.set_default_timeout(3_000)\n"


@pytest.fixture(scope="module")
def project(render_for_module):
    find_chromium()
    project = render_for_module(use_e2e=True, deploy_target="heroku").installed()
    (project / "guard.py").write_text(GUARD)
    project.edit("e2e/conftest.py", "    found = []\n", f"    found = []\n{PATIENCE}")
    return project


def run(project, **variables):
    """Run the tests in Debian's Chromium; return the result, and the names of the kept files."""
    shutil.rmtree(project / "reports", ignore_errors=True)
    done = project.make("e2e", CHROMIUM=find_chromium(), **variables)
    kept = {file.name for file in (project / "reports/e2e").rglob("*.*")}
    assert project.has("reports/junit.xml"), done.stdout
    return done, kept


def test_browser_sees_a_blocked_form_and_a_missing_file(project):
    settings, icon = (
        "config/settings/base.py",
        project / "templates/admin/base_site.html",
    )
    before = icon.read_text()
    project.edit(settings, '"form-action": [CSP.SELF]', '"form-action": [CSP.NONE]')
    icon.unlink()
    done, kept = run(project, ARGS="-k refused")
    project.edit(settings, '"form-action": [CSP.NONE]', '"form-action": [CSP.SELF]')
    icon.write_text(before)

    assert done.returncode == 2, done.stdout
    assert "violates the following Content Security Policy" in done.stdout
    assert re.search("favicon.ico: Failed to load resource: .* 404", done.stdout)
    assert kept == {"trace.zip", "test-failed-1.png"}


def test_missing_browser_is_one_sentence(project, tmp_path):
    done = project.make("e2e", PLAYWRIGHT_BROWSERS_PATH=str(tmp_path))

    assert done.returncode == 2, done.stdout
    assert "Chromium or a library is missing: run make browser." in done.stdout
    assert "playwright install" not in done.stdout


@pytest.fixture(scope="module")
def site(project):
    """Yield the URL of the project's site, which refuses visitors without the header."""
    name = "config/settings/local.py"
    project.edit(name, "\nDEBUG =", '\nMIDDLEWARE.insert(0, "guard.guard")\nDEBUG =')
    local = {"DJANGO_SETTINGS_MODULE": "config.settings.local", "DJANGO_DEBUG": "no"}
    with project.services() as variables:
        environment = local | variables
        project.run_ok(".venv/bin/python", "manage.py", "migrate", **environment)
        with running(project, SERVE, **environment) as server:
            yield f"http://localhost:{server.port}"


def test_browser_passes_on_a_site_behind_a_header(project, site):
    done, kept = run(project, URL=site, SMOKE_HEADER_STAGING=HEADER)

    assert done.returncode == 0, done.stdout
    # No test may use the database of a site.
    assert "2 passed, 1 deselected" in done.stdout
    assert not kept


def test_report_of_a_refused_visit_has_no_header(project, site):
    wrong = HEADER.replace("42", "43")
    done, kept = run(project, URL=site, SMOKE_HEADER_STAGING=wrong)

    assert done.returncode == 2, done.stdout
    assert re.search("Failed to load resource: .* 403", done.stdout)
    # A trace would have the header.
    assert kept == {"test-failed-1.png"}
    assert "hush" not in done.stdout
