import pytest
from django.urls import reverse
from playwright.sync_api import expect


def sign_in(page, username, password):
    page.goto(reverse("admin:login"))
    page.locator("[name=username]").fill(username)
    page.locator("[name=password]").fill(password)
    page.locator("[type=submit]").click()


def test_wrong_password_is_refused(page):
    sign_in(page, "nobody", "wrong")

    expect(page.locator(".errornote")).to_be_visible()


# `make e2e URL=…` leaves out the tests that use the database.
@pytest.mark.django_db(transaction=True)
def test_admin_signs_in(page, admin_user):
    sign_in(page, admin_user.get_username(), "password")

    expect(page.locator("#user-tools")).to_be_visible()
