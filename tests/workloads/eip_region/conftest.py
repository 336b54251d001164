"""Fixtures of the tests of eip-region's tasks."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.workloads.eip_region.world import REGION, World, make_world
from workloads.eip_region import probe


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto in this process stands for AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield


@pytest.fixture
def world(account: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two hosts, and an address that nobody has."""
    made = make_world(boto3.client("ec2", region_name=REGION))
    monkeypatch.setattr(probe, "probe", made.probe)
    return made
