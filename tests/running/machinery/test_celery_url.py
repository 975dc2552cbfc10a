import pytest

from config.celery_url import celery_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://host", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("unix:///redis.sock?db=2", "redis+socket:///redis.sock?virtual_host=2"),
        ("redis+socket:///redis.sock", "redis+socket:///redis.sock?virtual_host=0"),
        ("amqp://ann:p@host//", "amqp://ann:p@host//"),
        ("sqs://", "sqs://"),
        ("django-db", "django-db"),
    ],
)
def test_celery_gets_an_address_that_it_reads(url, expected):
    assert celery_url(url) == celery_url(expected) == expected


@pytest.mark.parametrize("url", ["host:6379", "redis://", "sentinel://host:26379"])
def test_address_that_celery_misreads_is_refused(url):
    with pytest.raises(ValueError, match="^Use "):
        celery_url(url)
