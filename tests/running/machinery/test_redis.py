import pytest
from environs import EnvError

from config.env import env
from config.redis import is_redis, redis_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://host:6380/2/", "redis://host:6380/2"),
        ("redis://host/?db=2", "redis://host:6379/2"),
        ("redis://:secret@host", "redis://:secret@host:6379/0"),
        ("redis://ann:p%40%2F%3b@host", "redis://ann:p%40%2F%3B@host:6379/0"),
        ("redis://ann:p@,;:@host", "redis://ann:p%40%2C%3B%3A@host:6379/0"),
        ("redis://[::1]:6380", "redis://[::1]:6380/0"),
        ("rediss://host", "rediss://host:6379/0?ssl_cert_reqs=required"),
        (
            "rediss://host/1?ssl_cert_reqs=CERT_NONE",
            "rediss://host:6379/1?ssl_cert_reqs=none",
        ),
        ("valkey://host", "redis://host:6379/0"),
        ("valkeys://host", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("unix:///run/redis,1.sock", "unix:///run/redis%2C1.sock?db=0"),
        ("unix://ann:p@/redis.sock?db=2", "unix://ann:p@/redis.sock?db=2"),
        ("redis+socket:///redis.sock?virtual_host=2", "unix:///redis.sock?db=2"),
    ],
)
def test_clients_get_one_form_of_an_address(url, expected):
    assert redis_url(url) == redis_url(expected) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("host:6379", "Use redis://"),
        ("host:6380,password=secret,ssl=True", "Use redis://"),
        ("redis://", "Use redis://"),
        ("redis://:secret@one:6379,two:6379", "Use redis://"),
        ("redis://:secret@host:port", "Use redis://"),
        ("redis://:secret@host:0", "Use redis://"),
        ("redis://:secret@host/name", "Use redis://"),
        ("redis://:secret@host/-1", "Use redis://"),
        ("redis://:secret@host?db=1_0", "Use redis://"),
        ("redis://:se/cret@host", "percent-encode"),
        ("redis://:12/cret@host", "percent-encode"),
        ("redis://:se#cret@host", "percent-encode"),
        ("redis://ann:12#cret@host", "percent-encode"),
        ("redis://:se?cret@host", "percent-encode"),
        ("redis://ann:12?cret=@host", "percent-encode"),
        ("redis://:secret@host?protocol=3", "The parameters are db"),
        ("redis://:secret@host?ssl_cert_reqs=none", "with TLS ssl_cert_reqs"),
        ("rediss://:secret@host?ssl_cert_reqs=secret", "with TLS ssl_cert_reqs"),
        ("rediss://:secret@host?ssl_ca_certs=secret", "file of its ssl_ca_certs"),
        ("unix://run/secret.sock", "unix:///path"),
        ("redis+sentinel://:secret@host:26379", "Sentinel and Cluster"),
        ("sentinel://:secret@host:26379", "Sentinel and Cluster"),
        ("rediss+cluster://:secret@host", "Sentinel and Cluster"),
    ],
)
def test_address_that_a_client_misreads_is_refused(monkeypatch, url, reason):
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(EnvError, match='^Environment variable "REDIS_URL"') as caught:
        env.parse("REDIS_URL", redis_url)

    assert reason in str(caught.value)
    assert "cret" not in str(caught.value)


def test_private_ca_is_a_file(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.touch()

    found = redis_url(f"rediss://host?ssl_ca_certs={ca}&ssl_check_hostname=false")

    assert found.startswith("rediss://host:6379/0?ssl_cert_reqs=required&ssl_ca_certs=")
    assert found.endswith("ca.pem&ssl_check_hostname=false")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://host", "rediss://host:6379/0?ssl_cert_reqs=none"),
        (
            "rediss://host?ssl_cert_reqs=required",
            "rediss://host:6379/0?ssl_cert_reqs=required",
        ),
        ("redis://host", "redis://host:6379/0"),
    ],
)
def test_variable_accepts_self_signed_certificates(monkeypatch, url, expected):
    monkeypatch.setenv("REDIS_VERIFY_TLS", "false")

    assert redis_url(url) == expected


def test_address_of_another_kind_of_server_is_known():
    assert is_redis("valkeys://host")
    assert not is_redis("amqp://host")
