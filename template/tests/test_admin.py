import pytest
from django.contrib import admin
from django.urls import reverse

from apps.users.models import User


@pytest.mark.parametrize(
    "model", admin.site._registry, ids=lambda model: model.__name__
)
@pytest.mark.parametrize("page", ["changelist", "add"])
def test_page_opens(admin_client, model, page):
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")

    assert admin_client.get(url).status_code == 200


def test_user_list_needs_few_queries_for_many_users(
    admin_client, django_assert_max_num_queries
):
    User.objects.bulk_create(User(username=f"user-{n}") for n in range(50))

    with django_assert_max_num_queries(10):
        admin_client.get(reverse("admin:users_user_changelist"))
