"""Clients of AWS for tasks, and their errors. boto3 chooses the endpoint (AWS_ENDPOINT_URL in a rehearsal)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from workloads.errors import WorkloadError
from workloads.load_inventory import LOOPBACK

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
# boto3 reads AWS_ENDPOINT_URL_<SERVICE>; where the name is another than the client's.
_ENDPOINT_NAMES = {"resourcegroupstaggingapi": "RESOURCE_GROUPS_TAGGING_API", "events": "EVENTBRIDGE"}


def is_instance_id(text: str) -> bool:
    """Returns whether `text` is an EC2 instance's id; a person's own machines may have any id."""
    return INSTANCE_ID.fullmatch(text) is not None


def ec2_client(region: str) -> EC2Client:
    """Returns an EC2 client. Raises WorkloadError."""
    client: EC2Client = aws_client(region, "ec2")
    return client


def aws_client(region: str, service: str, config: Config | None = None) -> Any:
    """Returns a new client of a service, with what `config` sets. Raises WorkloadError."""
    make: Any = boto3.client  # its stubs know literals alone
    name = _ENDPOINT_NAMES.get(service, service.upper())
    with one_line(name, name):
        arguments = client_arguments(name, region)
        arguments["config"] = arguments["config"].merge(config or Config())
        return make(service, **arguments)


def client_arguments(service: str, region: str) -> dict[str, Any]:
    """Returns the arguments of a service's client: timeouts, and in a rehearsal its endpoint on loopback with made-up
    credentials, so that no real ones are sent there. `service` as in boto3's AWS_ENDPOINT_URL_<SERVICE>.
    """
    arguments: dict[str, Any] = {
        "region_name": region,
        "config": Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"}),
    }
    endpoint = os.environ.get(f"AWS_ENDPOINT_URL_{service}") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and urlsplit(endpoint).hostname in LOOPBACK:
        arguments |= {
            "endpoint_url": endpoint,
            "aws_access_key_id": "rehearsal",
            "aws_secret_access_key": "rehearsal",  # the region on loopback checks nothing
        }
    return arguments


@contextmanager
def one_line(what: str, service: str = "EC2") -> Iterator[None]:
    """Raises boto3's errors as WorkloadError: one line about `what` was asked of `service`."""
    try:
        yield
    except ClientError as error:
        detail = error.response.get("Error", {})
        raise WorkloadError(
            f"{what}: {service} answers {detail.get('Code', 'an error')} ({detail.get('Message', error)})",
            "see that the stack is up and that your credentials are those of its account",
        ) from error
    except ResponseParserError as error:  # no BotoCoreError; its text is the whole page that was received
        raise WorkloadError(
            f"{what}: what answers in the place of {service} is no endpoint of AWS", "see your network and its proxies"
        ) from error
    except (BotoCoreError, ValueError) as error:
        # ValueError: an AWS_ENDPOINT_URL that is no URL, a number that is none.
        raise WorkloadError(
            f"{what}: {service} cannot be asked ({error})", "see your AWS credentials, region and network"
        ) from error
