"""The whole program of eip-region under mocks: what it declares, how it is tied together, what it exports, refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from components import stack_validation
from components.elastic_ip_validation import ElasticIpPlan, ElasticIpSpec
from inventory import ElasticIp
from tests.components.every_stack import (
    check_boot_order,
    check_image,
    check_names,
    check_root_volumes,
    check_tags,
    inventory_of,
)
from tests.components.stack_program import PERSON, Run, config_with, declare, run_program
from tests.components.wrong_stack import TABLE_TYPES, Wrong, lines_of_refusal

STACK = "eip-region.eu-central-1"
GIVEN = "eipalloc-0123456789abcdef0"
UNTAGGED = (":Route", ":RouteTableAssociation", ":EipAssociation")  # AWS has no tags for these


@pytest.fixture
def run(declare_once: Callable[..., Run]) -> Run:
    """The unchanged stack."""
    return declare_once(STACK)


def test_declares_an_address_and_two_hosts_in_two_zones(run: Run) -> None:
    found = Counter(resource.type.rpartition(":")[2] for resource in run.resources if resource.custom)
    assert (found["Eip"], found["Instance"], found["Subnet"], found["EipAssociation"]) == (1, 2, 2, 0)
    zones = [subnet.inputs["availabilityZone"] for subnet in run.of(":Subnet")]
    assert sorted(zones) == ["eu-central-1a", "eu-central-1b"]
    assert len({instance.inputs["subnetId"] for instance in run.of(":Instance")}) == 2
    assert {instance.inputs["instanceType"] for instance in run.of(":Instance")} == {"t3.micro"}


def test_what_is_true_of_every_stack(run: Run) -> None:
    check_names(run)
    check_tags(run, "eip-region", STACK, UNTAGGED)
    check_root_volumes(run, STACK)
    check_boot_order(run)
    check_image(run)


def test_hosts_end_before_the_address_is_released(run: Run) -> None:
    """An address that is associated cannot be released; the end of its host frees it."""
    for instance in run.of(":Instance"):
        assert run.one(":Eip").urn in instance.dependencies


def test_nothing_but_ssh_comes_in(run: Run) -> None:
    ways = {
        (rule.inputs.get("cidrIpv4"), rule.inputs["ipProtocol"], rule.inputs.get("toPort"))
        for rule in run.of(":SecurityGroupIngressRule")
    }
    assert ways == {(PERSON, "tcp", 22), (None, "icmp", -1)}


def test_the_inventory_has_the_address(run: Run) -> None:
    found = inventory_of(run)
    assert found.elastic_ips == (ElasticIp("id-eip-region-address-eip", "192.0.2.200", True, False),)
    assert [(host.name, host.role, host.zone) for host in found.hosts] == [
        ("host-1", "host", "eu-central-1a"),
        ("host-2", "host", "eu-central-1b"),
    ]
    assert run.outputs["elastic_ip"] == "192.0.2.200"
    # Two t3.micro, two root volumes, three public addresses as long as no host has the Elastic IP.
    assert float(run.outputs["usd_per_hour"]) == pytest.approx(2 * 0.012 + 2 * 8 * 0.0952 / 730 + 3 * 0.005, abs=0.005)
    assert "Elastic IP: a new one, released by `pulumi destroy`" in run.lines


def test_the_other_region_and_more_hosts(public_key_file: Path) -> None:
    run = declare("eip-region.us-east-1", public_key_file, hosts="4", zone="us-east-1d")
    assert [host.zone for host in inventory_of(run).hosts] == ["us-east-1d", "us-east-1a", "us-east-1b", "us-east-1c"]


def test_one_that_was_given_is_looked_up_and_is_no_resource(
    public_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def look_up(_: object, __: object, spec: object) -> ElasticIpPlan:
        assert isinstance(spec, ElasticIpSpec)
        asked.append(spec.allocation_id)
        return ElasticIpPlan(spec, "192.0.2.99", "Elastic IP: as given")

    monkeypatch.setattr(stack_validation, "check_elastic_ip", look_up)
    run = declare(STACK, public_key_file, elasticIp=GIVEN)
    assert asked == [GIVEN]
    assert run.of(":Eip") == []
    assert inventory_of(run).elastic_ips == (ElasticIp(GIVEN, "192.0.2.99", False, False),)


def test_a_preview_looks_it_up_too(public_key_file: Path) -> None:
    settings: dict[str, str | None] = {"tidemark:elasticIp": GIVEN}
    config = config_with(STACK, settings, public_key_file)
    with pytest.raises(Exception, match=f"{GIVEN} cannot be looked up without AWS credentials"):
        run_program(Run(), config, STACK, preview=True)


WRONG = [
    Wrong(
        {"tidemark:elasticIp": "none"},
        "tidemark:elasticIp: none is no Elastic IP that can be asked for; give new, or the id of an allocation such as "
        "eipalloc-0123456789abcdef0",
    ),
    Wrong(
        {"tidemark:elasticIp": GIVEN},
        f"tidemark:elasticIp: {GIVEN} cannot be looked up without AWS credentials; see `aws configure list`",
    ),
    Wrong({"tidemark:hosts": "1"}, "tidemark:hosts: 1 is out of range; allowed are 2 to 6"),
    Wrong(
        {"tidemark:hosts": "4"},
        "tidemark:hosts: 4 asked for, and 3 zones of eu-central-1 offer t3.micro (table of 2026-11); choose 3 at most: "
        "eu-central-1a, eu-central-1b, eu-central-1c",
    ),
    Wrong(
        {"tidemark:zone": "eu-west-1a"},
        "tidemark:zone: eu-west-1a does not offer t3.micro (table of 2026-11); choose one of eu-central-1a, "
        "eu-central-1b, eu-central-1c",
    ),
    Wrong(
        {"tidemark:hostType": "t3.mikro"},
        "tidemark:hostType: t3.mikro is not in the table of 2026-11; give AWS credentials, or choose one of "
        f"{TABLE_TYPES}",
    ),
    Wrong(
        {"tidemark:memoryLimitMib": "2048"},
        "tidemark:memoryLimitMib: 2048 MiB does not limit the 1024 MiB of t3.micro; choose less, or none",
    ),
    Wrong(
        {"tidemark:reasociate": "true"},
        "tidemark:reasociate: not a setting of this experiment; did you mean tidemark:reassociate?",
    ),
    Wrong(
        {"tidemark:maxUsdPerHour": "0.01"},
        "tidemark:maxUsdPerHour: this stack costs $0.04 an hour, above the limit of $0.01; raise the limit or ask for "
        "less",
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_one_line_and_nothing_created(wrong: Wrong, public_key_file: Path) -> None:
    config = config_with(STACK, wrong.changes, public_key_file)
    assert lines_of_refusal(STACK, config) == [wrong.line]
