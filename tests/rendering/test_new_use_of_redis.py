"""One more use of Redis needs only a row: every shared file follows from it."""

import copier
import pytest

from tests.pipelines.readers import READERS, read
from tests.support.options import REDIS_STATES, TEMPLATE
from tests.support.project import Project
from tests.support.rendering import quick_copier

ROW = """\
  {
    "chosen": use_redis,
    "variable": "SEARCH_URL",
    "database": 4,
    "label": "Redis: the search index.",
    "options": {"SEARCH_LIMIT": ("The number of results.", "20")},
    "socket_url": "unix://{folder}/valkey.sock?db=4",
    "check": "apps.search.checks.check_search",
  },
] | selectattr"""
LINES = {
    "compose.yaml": "    SEARCH_URL: redis://redis:6379/4\n",
    "config/settings/base.py": '    "apps.search.checks.check_search",\n',
    "scripts/servers/valkey/variables.toml": (
        'SEARCH_URL = "unix://{folder}/valkey.sock?db=4"\n'
    ),
    ".env.example": """
# Redis: the search index.
SEARCH_URL=redis://127.0.0.1:6379/4
# The number of results.
SEARCH_LIMIT=20
""",
}


@pytest.fixture
def copy(template, tmp_path):
    """Return a function that renders a project from the template with the row."""
    source = Project(template).copy_to(tmp_path / "template")
    source.edit("extensions/redis.jinja", "] | selectattr", ROW)

    def copy(**answers):
        folder = tmp_path / "project"
        with quick_copier():
            copier.run_copy(
                str(source.path), folder, data=answers, defaults=True, quiet=True
            )
        return Project(folder)

    return copy


@pytest.mark.parametrize("provider", READERS)
def test_row_reaches_every_shared_file(copy, provider):
    project = copy(ci_provider=provider, use_docker=True, use_redis=True)

    for name, lines in LINES.items():
        assert lines in project.read(name), name
    jobs = read(provider, project)
    for job in (jobs["main"]["test"], jobs["nightly"]["newest"]):
        assert job.variables["SEARCH_URL"].endswith("/4")
        assert job.variables.keys() > {"REDIS_URL"}


def test_row_that_is_not_chosen_leaves_no_trace(copy):
    project = copy(**REDIS_STATES["none"], use_docker=True)

    assert not any("SEARCH" in project.read(name) for name in project.files())


def test_rows_differ_in_variable_and_database():
    rows = (TEMPLATE / "extensions/redis.jinja").read_text().splitlines()
    for key in ("variable", "database", "socket_url"):
        values = [line for line in rows if line.startswith(f'    "{key}":')]
        assert len(values) == len(set(values)) == 4
