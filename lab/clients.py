"""Clients of the region's API."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_efs.client import EFSClient
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_ssm.client import SSMClient
    from mypy_boto3_sts.client import STSClient

KEY = "rehearsal"
"""Both halves of the credentials: the region takes any, and these are no secret."""


_MAKING = threading.Lock()  # boto3's default session makes one client at a time


@dataclass(frozen=True)
class Clients:
    """One client of each service at the region's endpoint, made when it is first asked for, by whatever thread."""

    url: str
    region: str
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ec2(self) -> EC2Client:
        client: EC2Client = self._client("ec2")
        return client

    @property
    def efs(self) -> EFSClient:
        client: EFSClient = self._client("efs")
        return client

    @property
    def cloudwatch(self) -> CloudWatchClient:
        client: CloudWatchClient = self._client("cloudwatch")
        return client

    @property
    def iam(self) -> IAMClient:
        client: IAMClient = self._client("iam")
        return client

    @property
    def s3(self) -> S3Client:
        client: S3Client = self._client("s3")
        return client

    @property
    def ssm(self) -> SSMClient:
        client: SSMClient = self._client("ssm")
        return client

    @property
    def sts(self) -> STSClient:
        client: STSClient = self._client("sts")
        return client

    def _client(self, service: str) -> Any:
        with _MAKING:
            if service not in self._made:
                make: Any = boto3.client
                self._made[service] = make(
                    service, self.region, endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=KEY
                )
            return self._made[service]


def environment(url: str, region: str) -> dict[str, str]:
    """What a process must find in its environment for boto3 to ask this region and nobody else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
