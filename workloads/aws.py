"""The few calls to EC2 that tasks make; the endpoint is boto3's own choice (AWS_ENDPOINT_URL in a
rehearsal).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workloads.errors import WorkloadError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")


def is_instance_id(text: str) -> bool:
    """Whether `text` is an EC2 instance's id; machines of one's own may have any name there."""
    return INSTANCE_ID.fullmatch(text) is not None


def ec2_client(region: str) -> EC2Client:
    """An EC2 client; a rehearsal's endpoint on loopback takes any credentials, so none of yours are sent
    there.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"})
    with one_line("EC2"):
        if endpoint and urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1"):
            return boto3.client(
                "ec2",
                region_name=region,
                endpoint_url=endpoint,
                config=config,
                aws_access_key_id="rehearsal",
                aws_secret_access_key="rehearsal",  # the region on loopback checks nothing
            )
        return boto3.client("ec2", region_name=region, config=config)


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Turns boto3's errors into one line about `what`."""
    try:
        yield
    except ClientError as error:
        detail = error.response.get("Error", {})
        raise WorkloadError(
            f"{what}: EC2 answers {detail.get('Code', 'an error')} ({detail.get('Message', error)})",
            "see that the stack is up and that your credentials are those of its account",
        ) from error
    except BotoCoreError as error:
        raise WorkloadError(
            f"{what}: EC2 cannot be asked ({error})", "see your AWS credentials, region and network"
        ) from error
