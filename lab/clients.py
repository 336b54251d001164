"""Clients of the region's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ssm.client import SSMClient

KEY = "rehearsal"
"""Both halves of the credentials: the region takes any, and these are no secret."""


def ec2_client(url: str, region: str) -> EC2Client:
    """EC2 at the region's endpoint."""
    return boto3.client("ec2", region, endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=KEY)


def ssm_client(url: str, region: str) -> SSMClient:
    """SSM at the region's endpoint."""
    return boto3.client("ssm", region, endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=KEY)


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
