"""Reads the `aws:` settings of a stack, and finds out whether the stack is a rehearsal."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

from components.settings import Settings

ENDPOINTS = "aws:endpoints"
REGION = "aws:region"


@dataclass(frozen=True)
class AwsSettings:
    """Region, endpoints and credentials for calls to AWS, the same as the AWS provider's. The repr hides the keys."""

    region: str
    endpoints: Mapping[str, str]
    rehearsal: bool
    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def read_aws_settings(settings: Settings) -> AwsSettings:
    """Reads region, endpoints and credentials. A stack whose endpoints are all loopback is a rehearsal."""
    endpoints = _read_endpoints(settings)
    loopback = [_is_loopback(url) for url in endpoints.values()]
    if any(loopback) and not all(loopback):
        real = ", ".join(name for name, url in endpoints.items() if not _is_loopback(url))
        settings.add_error(ENDPOINTS, f"some endpoints are on this machine and {real} is not", "use one or the other")
    if loopback and all(loopback) and "ec2" not in endpoints:
        settings.add_error(ENDPOINTS, "without ec2, instances would be created on AWS", "add ec2")
    access_key = settings.optional_text("aws:accessKey")
    secret_key = settings.optional_text("aws:secretKey")
    if bool(access_key) != bool(secret_key):
        missing, present = "aws:secretKey", "aws:accessKey"
        if secret_key:
            missing, present = present, missing
        settings.add_error(missing, f"missing, though {present} is there", "set both or neither")
    return AwsSettings(
        region=settings.text(REGION, "eu-central-1"),
        endpoints=endpoints,
        rehearsal=bool(loopback) and all(loopback),
        profile=settings.optional_text("aws:profile"),
        access_key=access_key,
        secret_key=secret_key,
        token=settings.optional_text("aws:token"),
    )


def require_endpoint(settings: Settings, aws: AwsSettings, service: str, created: str) -> None:
    """Checks that a rehearsal has an endpoint for the service, with which `created` would be created on AWS."""
    if aws.rehearsal and service not in aws.endpoints and settings.is_valid(ENDPOINTS):
        settings.add_error(ENDPOINTS, f"without {service}, {created} would be created on AWS", f"add {service}")


def _read_endpoints(settings: Settings) -> dict[str, str]:
    """Reads a list of objects that map services to URLs. Pulumi passes structured settings as JSON."""
    text = settings.optional_text(ENDPOINTS)
    if text is None:
        return {}
    allowed = "write a list of service: URL, such as - ec2: http://127.0.0.1:4566"
    try:
        value: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        settings.add_error(ENDPOINTS, "not structured", allowed)
        return {}
    entries = value if isinstance(value, list) else [value]
    found: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            settings.add_error(ENDPOINTS, f"{entry} is not a service and its URL", allowed)
            continue
        for service, url in entry.items():
            if not isinstance(url, str) or not is_url(url):
                settings.add_error(ENDPOINTS, f"{service} is {url}, which is not a URL", allowed)
            else:
                found[service] = url
    return found


def is_url(text: str) -> bool:
    """Returns whether boto3 accepts `text` as an endpoint."""
    try:
        parts = urlsplit(text)
        known = is_valid_endpoint_url(text) or is_valid_ipv6_endpoint_url(text)
        return parts.scheme in ("http", "https") and parts.port != 0 and bool(known)
    except ValueError:
        return False


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
