"""The whole program of iscsi-tunnel under mocks: what it declares, what is open, what is protected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from components.tunnel import VOLUME_NAME
from tests.components.every_stack import (
    SITE,
    check_boot_order,
    check_image,
    check_names,
    check_root_volumes,
    check_tags,
    inventory_of,
)
from tests.components.stack_program import PERSON, Run, config_with, declare
from tests.components.wrong_stack import lines_of_refusal

STACK = "iscsi-tunnel.eu-central-1"


@pytest.fixture
def run(declare_once: Callable[..., Run]) -> Run:
    """The unchanged stack: one server, and the client is elsewhere."""
    return declare_once(STACK)


@pytest.fixture
def within(declare_once: Callable[..., Run]) -> Run:
    """With a client and a third host."""
    return declare_once(STACK, clientType="t3.micro", thirdType="t3.micro")


def test_declares_one_server_with_one_volume(run: Run) -> None:
    assert Counter(resource.type for resource in run.resources if resource.custom) == {
        **SITE,
        "aws:ebs/volume:Volume": 1,
        "aws:ec2/instance:Instance": 1,
        "aws:ec2/volumeAttachment:VolumeAttachment": 1,
    }
    volume = run.one(":Volume").inputs
    assert (volume["size"], volume["type"], volume["encrypted"]) == (80, "gp3", True)
    assert volume["tags"]["Name"] == VOLUME_NAME


@pytest.mark.parametrize("which", ["run", "within"])
def test_nothing_comes_in_but_ssh(which: str, request: pytest.FixtureRequest) -> None:
    rules = request.getfixturevalue(which).of(":SecurityGroupIngressRule")
    assert {(rule.inputs["ipProtocol"], rule.inputs["fromPort"]) for rule in rules} == {("tcp", 22), ("icmp", -1)}
    (from_outside,) = [rule for rule in rules if "cidrIpv4" in rule.inputs]
    assert from_outside.inputs["cidrIpv4"] == PERSON


def test_members_may_open_tunnels_where_the_client_is_one(run: Run, within: Run) -> None:
    def members(run: Run) -> list[str]:
        rules = run.of(":SecurityGroupIngressRule")
        return [rule.name for rule in rules if rule.inputs["ipProtocol"] == "tcp" and "cidrIpv4" not in rule.inputs]

    assert members(run) == []
    assert members(within) == ["iscsi-tunnel-members-in-tunnel"]


@pytest.mark.parametrize("which", ["run", "within"])
def test_what_is_true_of_every_stack(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    check_names(run)
    check_tags(run, "iscsi-tunnel", STACK, (":Route", ":RouteTableAssociation", ":VolumeAttachment"))
    check_root_volumes(run, STACK)
    check_boot_order(run)
    check_image(run)


def test_server_and_volume_share_a_zone(within: Run) -> None:
    assert within.one(":Volume").inputs["availabilityZone"] == within.one(":Subnet").inputs["availabilityZone"]
    assert {instance.inputs["subnetId"] for instance in within.of(":Instance")} == {"id-iscsi-tunnel-network-subnet"}


def test_the_volume_is_protected_until_it_is_named(run: Run, public_key_file: Path) -> None:
    assert run.one(":Volume").protect
    assert not any(resource.protect for resource in run.resources if not resource.type.endswith(":Volume"))
    named = declare(STACK, public_key_file, deleteVolume=VOLUME_NAME)
    assert not named.one(":Volume").protect
    assert any("destroy deletes it" in line for line in named.lines)
    assert any("is protected" in line for line in run.lines)


def test_the_inventory_has_the_roles(run: Run, within: Run) -> None:
    assert [(host.name, host.role) for host in inventory_of(run).hosts] == [("server", "server")]
    found = inventory_of(within)
    assert [(host.name, host.role) for host in found.hosts] == [(n, n) for n in ("server", "client", "third")]
    (volume,) = found.host("server").volumes
    assert (volume.size_gib, volume.device) == (80, "/dev/sdf")


def test_an_elastic_ip_is_the_servers(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, elasticIp="new")
    association = run.one(":EipAssociation").inputs
    assert association["instanceId"] == "id-server-instance"
    assert len(run.of(":Eip")) == 1
    assert any(line.startswith("Elastic IP: a new one") for line in run.lines)
    assert len(inventory_of(run).elastic_ips) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"deleteVolume": "vol-1"},
            f"tidemark:deleteVolume: this stack has no volume vol-1; its volume is {VOLUME_NAME}",
        ),
        ({"volumeSizeGib": "0"}, "tidemark:volumeSizeGib: 0 is out of range; allowed are 1 to 65536"),
        ({"serverType": "t3.mikro"}, "tidemark:serverType: t3.mikro is not in the table of 2026-11"),
        ({"elasticIp": "old"}, "tidemark:elasticIp: old is no Elastic IP that can be asked for; give none, new"),
        ({"iscsiPort": "3260"}, "tidemark:iscsiPort: not a setting of this experiment"),
        ({"volumeSizeGib": "20000"}, "tidemark:volumeSizeGib: 20000 GiB is not possible"),
        ({"zone": "eu-central-1z"}, "tidemark:zone: eu-central-1z does not offer t3.micro"),
    ],
)
def test_a_wrong_stack_is_one_line(changes: dict[str, str], line: str, public_key_file: Path) -> None:
    config = config_with(STACK, {f"tidemark:{key}": value for key, value in changes.items()}, public_key_file)
    (said,) = lines_of_refusal(STACK, config)
    assert said.startswith(line)
