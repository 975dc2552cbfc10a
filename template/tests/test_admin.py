import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.users.models import User

pytestmark = pytest.mark.django_db(databases="__all__")

# Migrations create no table of an unmanaged model, so the tests have none.
MODELS = [
    model
    for model in apps.get_models()
    if admin.site.is_registered(model)
    and (model._meta.concrete_model or model)._meta.managed
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
@pytest.mark.parametrize(
    ("page", "permission"),
    [
        ("changelist", "has_view_or_change_permission"),
        ("add", "has_add_permission"),
    ],
    ids=["changelist", "add"],
)
def test_page_opens_if_the_admin_permits_it(admin_client, model, page, permission):
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")

    response = admin_client.get(url)

    is_permitted = getattr(admin.site.get_model_admin(model), permission)
    expected = 200 if is_permitted(response.wsgi_request) else 403
    assert response.status_code == expected


def test_user_list_needs_no_query_for_each_user(
    admin_client, django_assert_max_num_queries
):
    url = reverse("admin:users_user_changelist")
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(url)
    names = {User.USERNAME_FIELD, User.EMAIL_FIELD}
    User.objects.bulk_create(
        User(**dict.fromkeys(names, f"user-{n}@example.com")) for n in range(50)
    )

    with django_assert_max_num_queries(len(queries)):
        admin_client.get(url)
