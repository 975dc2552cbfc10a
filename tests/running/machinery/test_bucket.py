import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from environs import EnvError

from config.bucket import BucketStorage

AWS = {
    "AWS_STORAGE_BUCKET_NAME": "shop",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
DOTS = AWS | {"AWS_STORAGE_BUCKET_NAME": "shop.example.com"}
OTHER = AWS | {"AWS_ENDPOINT_URL_S3": "https://s3.example.com:9000"}
ADDRESSES = [
    (AWS, "https://shop.s3.eu-central-1.amazonaws.com"),
    (DOTS, "https://s3.eu-central-1.amazonaws.com/shop.example.com/"),
    (OTHER, "https://s3.example.com:9000/shop/"),
    (
        OTHER | {"AWS_S3_ADDRESSING_STYLE": "virtual"},
        "https://shop.s3.example.com:9000",
    ),
]


@pytest.fixture
def required(required, request):
    return required | getattr(request, "param", AWS)


@pytest.mark.django_db
@pytest.mark.parametrize(("required", "address"), ADDRESSES, indirect=["required"])
def test_pages_may_show_uploads_by_signed_url(https, address):
    url = default_storage.url("a picture.png")
    header = https.get("/admin/login/")["Content-Security-Policy"]

    assert url.startswith(f"{address.rstrip('/')}/a%20picture.png?")
    assert "X-Amz-Signature=" in url
    assert f"img-src 'self' {address};" in f"{header};"
    assert f"media-src 'self' {address};" in f"{header};"


def test_refused_upload_names_the_reason():
    names = {"bucket_name": "shop", "region_name": "eu-central-1"}
    keys = {"access_key": "key", "secret_key": "secret"}
    storage = BucketStorage("virtual", timeout=5, **names, **keys)

    with Stubber(storage.connection.meta.client) as server:
        server.add_client_error("head_object", "403", http_status_code=403)
        server.add_client_error("get_object", "InvalidAccessKeyId")
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            storage.save("upload.txt", ContentFile("text"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", ""),
        ("AWS_ENDPOINT_URL_S3", "s3.example.com"),
        ("AWS_S3_ADDRESSING_STYLE", "host"),
    ],
)
def test_wrong_variable_of_a_bucket_is_named(load, required, name, value):
    with pytest.raises(EnvError, match=f'"{name}"'):
        load("production", required | {name: value})
