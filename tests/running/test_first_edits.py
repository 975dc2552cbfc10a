"""`make ci` passes after the edits that teams make first."""

import pytest

pytestmark = pytest.mark.slow


def test_make_ci_passes_with_a_field_added_to_the_user(render):
    project = render().installed()
    project.edit(
        "apps/users/models.py",
        "from django.contrib.auth.models import AbstractUser\n",
        "from django.contrib.auth.models import AbstractUser\nfrom django.db import models\n",
    )
    with (project / "apps/users/models.py").open("a") as file:
        file.write("\n    phone = models.CharField(max_length=20, blank=True)\n")
    project.make_ok("manage", "ARGS=makemigrations --name phone")
    project.make_ok("format")

    project.make_ok("ci")
