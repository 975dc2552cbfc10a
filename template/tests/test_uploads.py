import pytest
from django.core.files.storage import default_storage

BUCKET = {
    "AWS_STORAGE_BUCKET_NAME": "shop",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.fixture
def required(required):
    return required | BUCKET


@pytest.mark.django_db
def test_pages_may_show_images_of_the_bucket(https):
    url = default_storage.url("picture.png")
    policy = https.get("/admin/login/")["Content-Security-Policy"]

    address = "https://shop.s3.eu-central-1.amazonaws.com"
    assert url.startswith(f"{address}/picture.png?")
    assert f"img-src 'self' {address}" in policy
