"""Clients of the region's API."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.loaders

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

# botocore keeps the JSON that it has read, megabytes for EC2, for one session alone, and moto makes a session for each
# question about regions that it asks when it is imported: 0.7 of the 1.8 s of CPU time that importing lab.region took.
_loader: Any = botocore.loaders.JSONFileLoader
_load_file = functools.cache(_loader().load_file)
_loader.load_file = lambda _, path: _load_file(path)

_MAKING = threading.Lock()  # boto3's default session makes one client at a time


class _Services:
    """One client of each service, made at its first use, in any thread."""

    cloudwatch: CloudWatchClient
    ec2: EC2Client
    efs: EFSClient
    iam: IAMClient
    s3: S3Client
    ssm: SSMClient
    sts: STSClient


@dataclass(frozen=True)
class Clients(_Services):
    """The clients of a region, at its endpoint."""

    url: str
    region: str

    def __getattr__(self, service: str) -> Any:
        if service not in _Services.__annotations__:
            raise AttributeError(service)
        make: Any = boto3.client
        with _MAKING:
            if service not in self.__dict__:
                self.__dict__[service] = make(
                    service, self.region, endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=KEY
                )
        return self.__dict__[service]


def environment(url: str, region: str) -> dict[str, str]:
    """Returns the environment variables with which boto3 asks this region and no other."""
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
