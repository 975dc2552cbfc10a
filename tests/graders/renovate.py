"""A grader of Renovate's configuration."""

from tests.graders.tools import schema


def renovate_schema(*paths):
    """Return where the files break Renovate's own schema."""
    return schema("vendor.renovate", *paths)
