from botocore.config import Config
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage


class BucketStorage(S3Storage):
    """Keep uploads in a private bucket, with URLs that are valid for an hour.

    The server has `timeout` seconds to connect, and for each answer.
    """

    file_overwrite = False

    def __init__(self, addressing_style, timeout, **options):
        config = Config(
            s3={"addressing_style": addressing_style},
            signature_version="s3v4",
            connect_timeout=timeout,
            read_timeout=timeout,
            # Twice, because a server may close an idle connection.
            retries={"total_max_attempts": 2, "mode": "standard"},
            # Some servers do not know the newer checksums of AWS.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        super().__init__(client_config=config, **options)

    def exists(self, name):
        try:
            return super().exists(name)
        except ClientError:
            # HEAD was refused without a reason, which the answer to GET has.
            key = self._normalize_name(name)
            client = self.connection.meta.client
            return bool(client.get_object(Bucket=self.bucket_name, Key=key))
