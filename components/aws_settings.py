"""The `aws:` part of a stack's settings, as far as look-ups need it, and whether it means a rehearsal."""

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
    """Where and as whom the AWS API is asked: the same as the AWS provider will be. Keys stay out of its
    repr.
    """

    region: str
    endpoints: Mapping[str, str]
    rehearsal: bool
    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def read_aws_settings(settings: Settings) -> AwsSettings:
    """Read region, endpoints and credentials. A rehearsal is a stack all of whose endpoints are loopback."""
    endpoints = _read_endpoints(settings)
    loopback = [_is_loopback(url) for url in endpoints.values()]
    if any(loopback) and not all(loopback):
        real = ", ".join(name for name, url in endpoints.items() if not _is_loopback(url))
        settings.refuse(ENDPOINTS, f"some endpoints are on this machine and {real} is not", "use one or the other")
    if loopback and all(loopback) and "ec2" not in endpoints:
        settings.refuse(ENDPOINTS, "no ec2 among them, so instances would be created on AWS", "add ec2")
    access_key = settings.optional_text("aws:accessKey")
    secret_key = settings.optional_text("aws:secretKey")
    if bool(access_key) != bool(secret_key):
        missing, present = "aws:secretKey", "aws:accessKey"
        if secret_key:
            missing, present = present, missing
        settings.refuse(missing, f"missing, though {present} is there", "set both or neither")
    return AwsSettings(
        region=settings.text(REGION, "eu-central-1"),
        endpoints=endpoints,
        rehearsal=bool(loopback) and all(loopback),
        profile=settings.optional_text("aws:profile"),
        access_key=access_key,
        secret_key=secret_key,
        token=settings.optional_text("aws:token"),
    )


def _read_endpoints(settings: Settings) -> dict[str, str]:
    """Pulumi hands over structured settings as JSON: a list of objects, each a service's name and its URL."""
    text = settings.optional_text(ENDPOINTS)
    if text is None:
        return {}
    allowed = "write a list of service: URL, such as - ec2: http://127.0.0.1:4566"
    try:
        value: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        settings.refuse(ENDPOINTS, "not structured", allowed)
        return {}
    entries = value if isinstance(value, list) else [value]
    found: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            settings.refuse(ENDPOINTS, f"{entry} is not a service and its URL", allowed)
            continue
        for service, url in entry.items():
            if not isinstance(url, str) or not is_url(url):
                settings.refuse(ENDPOINTS, f"{service} is {url}, which is not a URL", allowed)
            else:
                found[service] = url
    return found


def is_url(text: str) -> bool:
    """Whether boto3 takes `text` for an endpoint: it raises a ValueError of its own for another."""
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
