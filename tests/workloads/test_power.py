"""Killing and starting instances, against moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.parsers import ResponseParserError
from moto import mock_aws

from inventory import Inventory
from tests.instances import launch
from tests.workloads.fake_clock import FakeClock
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.aws import one_line
from workloads.connectors.pool import ConnectionPool
from workloads.errors import WorkloadError
from workloads.power import Power, start_stopped_hosts, with_current_addresses


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ec2", region_name="eu-central-1")


@pytest.fixture
def deployed(account: Any) -> Inventory:
    """An inventory whose hosts are instances of the account; its addresses are old."""
    document = inventory_document()
    for host, instance_id in zip(document["hosts"], launch(account, 4), strict=True):
        host["id"] = instance_id
    document["hosts"][0]["address"] = document["hosts"][0]["private_address"]
    document["hosts"][1]["address"] = "storage-2.example.org"
    return inventory_of(document)


def public_address(account: Any, instance_id: str) -> str:
    answer = account.describe_instances(InstanceIds=[instance_id])
    return str(answer["Reservations"][0]["Instances"][0]["PublicIpAddress"])


def state(account: Any, instance_id: str) -> str:
    answer = account.describe_instances(InstanceIds=[instance_id])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_public_addresses_are_those_of_now(account: Any, deployed: Inventory) -> None:
    now = with_current_addresses(deployed)
    # Private addresses and names are someone's choice.
    assert now.host("storage-1").address == "10.20.1.11"
    assert now.host("storage-2").address == "storage-2.example.org"
    for name in ("storage-3", "client"):
        assert now.host(name).address == public_address(account, now.host(name).id)


def test_one_that_was_stopped_when_the_stack_was_deployed_gets_an_address(
    account: Any, deployed: Inventory, clock: FakeClock
) -> None:
    """Its id is where its address would be (components/experiment.py)."""
    host = deployed.host("client")
    unknown = replace(
        deployed, hosts=tuple(replace(each, address=each.id) if each == host else each for each in deployed.hosts)
    )
    account.stop_instances(InstanceIds=[host.id])
    now = start_stopped_hosts(unknown, lambda _: None)
    assert now.host("client").address == public_address(account, host.id)


def test_a_running_instance_without_a_public_address_is_named(account: Any, deployed: Inventory) -> None:
    image = account.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    card = {"DeviceIndex": 0, "AssociatePublicIpAddress": False}
    (made,) = account.run_instances(ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=[card])["Instances"]
    bare = replace(deployed.host("client"), id=made["InstanceId"], address=made["InstanceId"])
    with pytest.raises(WorkloadError, match=rf"client: {bare.id} runs and has no public address"):
        start_stopped_hosts(replace(deployed, hosts=(bare,)), lambda _: None)


def test_a_stopped_instance_is_started(account: Any, deployed: Inventory, clock: FakeClock) -> None:
    host = deployed.host("storage-3")
    account.stop_instances(InstanceIds=[host.id])
    said: list[str] = []
    start_stopped_hosts(deployed, said.append)
    assert said == [f"{host.id} is stopped: starting it"]
    assert state(account, host.id) == "running"


def test_a_terminated_instance_is_one_line(account: Any, deployed: Inventory) -> None:
    account.terminate_instances(InstanceIds=[deployed.host("client").id])
    with pytest.raises(
        WorkloadError,
        match=r"^client: its instance i-\w+ is terminated \(Client.UserInitiated.*\); see the EC2 console",
    ):
        start_stopped_hosts(deployed, print)


def test_an_instance_of_another_account_is_one_line(account: Any) -> None:
    document = inventory_document()
    with pytest.raises(WorkloadError, match="EC2 answers InvalidInstanceID") as caught:
        with_current_addresses(inventory_of(document))
    assert "\n" not in str(caught.value)


def test_kill_and_start(account: Any, deployed: Inventory) -> None:
    hosts = ConnectionPool(deployed, {})
    power = Power(hosts, print)
    host = deployed.host("storage-1")
    power.kill(host)
    assert state(account, host.id) == "stopped"
    power.start(host)
    assert state(account, host.id) == "running"


def test_a_page_of_another_server_is_one_line() -> None:
    """A proxy's; boto3's error is none of botocore.exceptions, and its text is the page."""
    told = "^state: what answers in the place of EC2 is no endpoint of AWS; see your network and its proxies$"
    with pytest.raises(WorkloadError, match=told), one_line("state"):
        raise ResponseParserError("Unable to parse response:\n<!doctype html>")
