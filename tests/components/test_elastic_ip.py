"""An Elastic IP before anything is created: where it is, whose it is, whether another may be had; and its component."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pulumi
import pytest

from components import aws_api, elastic_ip_validation
from components.aws_settings import AwsSettings
from components.config import CommonConfig, PublicKey
from components.elastic_ip import ElasticIp
from components.elastic_ip_validation import ElasticIpPlan, ElasticIpSpec, check_elastic_ip, read_elastic_ip
from components.settings import Settings
from components.tags import Tags
from tests.components.stack_program import Run, run_component
from tests.instances import launch

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

HERE, ELSEWHERE = "eu-west-1", "us-east-1"
STACK = "eip-region.test"
NOWHERE = "eipalloc-0123456789abcdef0"
KEY = "tidemark:elasticIp"
TAGS = Tags("tidemark", STACK, "eip-region", "2026-11-25T12:00:00Z")


def client(url: str, region: str) -> EC2Client:
    return boto3.client(
        "ec2", region, endpoint_url=url, aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal"
    )


@pytest.fixture
def here(moto_endpoint: str) -> Iterator[EC2Client]:
    """The stack's region; what a test leaves there is taken away."""
    ec2 = client(moto_endpoint, HERE)
    yield ec2
    for address in ec2.describe_addresses()["Addresses"]:
        # As on AWS, where a test of the rehearsal region's API ran before in this process.
        if "AssociationId" in address:
            ec2.disassociate_address(AssociationId=address["AssociationId"])
        ec2.release_address(AllocationId=address["AllocationId"])


def common_of(url: str | None, *, credentials: bool = True) -> CommonConfig:
    keys = ("rehearsal", "rehearsal") if credentials else (None, None)
    aws = AwsSettings(HERE, {"ec2": url} if url else {}, url is not None, None, *keys)
    key = PublicKey("ssh-ed25519 AAAA", "~/.ssh/id_ed25519")
    return CommonConfig("tidemark", STACK, "eip-region", aws, None, "203.0.113.7/32", key, None, 4, None)


def check(
    url: str | None, allocation_id: str | None, *, reassociate: bool = False, credentials: bool = True
) -> tuple[ElasticIpPlan | None, list[str]]:
    settings = Settings({}, STACK)
    common = common_of(url, credentials=credentials)
    plan = check_elastic_ip(settings, common, ElasticIpSpec(allocation_id, reassociate))
    return plan, [line.removeprefix(f"stacks/Pulumi.{STACK}.yaml: {KEY}: ") for line in settings.errors]


class TestExisting:
    def test_here(self, moto_endpoint: str, here: EC2Client) -> None:
        made = here.allocate_address(Domain="vpc")
        plan, problems = check(moto_endpoint, made["AllocationId"])
        assert problems == []
        assert plan is not None
        assert plan.existing_address == made["PublicIp"]
        assert plan.message.endswith("`pulumi destroy` does not release it")

    def test_in_another_region(self, moto_endpoint: str) -> None:
        ec2 = client(moto_endpoint, ELSEWHERE)
        made = ec2.allocate_address(Domain="vpc")["AllocationId"]
        try:
            plan, problems = check(moto_endpoint, made)
        finally:
            ec2.release_address(AllocationId=made)
        assert plan is None
        assert problems == [
            f"{made} is in us-east-1; an Elastic IP cannot leave its region: run the stack there or allocate one in "
            "eu-west-1"
        ]

    def test_nowhere(self, moto_endpoint: str) -> None:
        plan, (problem,) = check(moto_endpoint, NOWHERE)
        assert plan is None
        others = len(client(moto_endpoint, HERE).describe_regions()["Regions"]) - 1
        assert problem == (
            f"{NOWHERE} is neither in eu-west-1 nor in any of {others} other regions; see whether it was released, or "
            "is another account's: aws ec2 describe-addresses --region REGION"
        )

    def test_a_region_that_cannot_be_asked_is_named(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse_in("eu-west-2", "DescribeAddresses", monkeypatch)
        _, (problem,) = check(moto_endpoint, NOWHERE)
        assert "; could not be asked: eu-west-2 (UnauthorizedOperation); see" in problem

    def test_without_the_list_of_regions_those_that_all_have_are_asked(
        self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refuse_in("us-east-1", "DescribeRegions", monkeypatch)
        _, (problem,) = check(moto_endpoint, NOWHERE)
        assert "in any of 16 other regions; could not be asked: regions that you opted in to" in problem

    @pytest.mark.parametrize("reassociate", [False, True])
    def test_somebody_has_it(self, reassociate: bool, moto_endpoint: str, here: EC2Client) -> None:
        made = here.allocate_address(Domain="vpc")["AllocationId"]
        (other,) = launch(here, tags={"Name": "shop"})
        here.associate_address(AllocationId=made, InstanceId=other)
        plan, problems = check(moto_endpoint, made, reassociate=reassociate)
        if reassociate:
            assert plan is not None
            assert f"taken from the instance {other} (shop)" in plan.message
        else:
            assert problems == [
                f"{made} is associated with the instance {other} (shop); give one that is free, or set "
                "tidemark:reassociate true to take it from there"
            ]

    def test_a_host_of_this_stack_has_it(self, moto_endpoint: str, here: EC2Client) -> None:
        """As at every `up` after the first."""
        made = here.allocate_address(Domain="vpc")["AllocationId"]
        (own,) = launch(here, tags={"project": "tidemark", "stack": STACK})
        here.associate_address(AllocationId=made, InstanceId=own)
        plan, problems = check(moto_endpoint, made)
        assert problems == []
        assert plan is not None

    def test_a_network_interface_has_it(
        self, moto_endpoint: str, here: EC2Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A NAT gateway, for example."""
        made = here.allocate_address(Domain="vpc")
        held = {**made, "NetworkInterfaceId": "eni-1"}
        monkeypatch.setattr(elastic_ip_validation, "_find_address", lambda *_: held)
        _, (problem,) = check(moto_endpoint, made["AllocationId"])
        assert "is associated with the network interface eni-1; give one that is free" in problem

    def test_it_is_looked_at_once_more_before_a_host_gets_it(self, moto_endpoint: str, here: EC2Client) -> None:
        """A host takes minutes; AWS's provider would take the address from whoever got it meanwhile."""
        made = here.allocate_address(Domain="vpc")["AllocationId"]
        plan, _ = check(moto_endpoint, made)
        assert plan is not None
        plan.recheck()
        (other,) = launch(here, tags={"Name": "shop"})
        here.associate_address(AllocationId=made, InstanceId=other)
        with pytest.raises(
            pulumi.RunError, match=rf"{made} is associated with the instance {other} \(shop\); give one"
        ):
            plan.recheck()

    def held_by_a_card(
        self, url: str, here: EC2Client, monkeypatch: pytest.MonkeyPatch, card: dict[str, Any], **held: Any
    ) -> list[str]:
        """The faults of an address that may be taken, and is associated with a network interface like `card`."""
        made = here.allocate_address(Domain="vpc")
        address = {**made, "NetworkInterfaceId": "eni-1", "NetworkInterfaceOwnerId": "123456789012", **held}
        monkeypatch.setattr(elastic_ip_validation, "_find_address", lambda *_: address)
        make = aws_api.ec2_client

        def with_card(*arguments: Any) -> Any:
            ec2: Any = make(*arguments)
            ec2.describe_network_interfaces = lambda **_: {"NetworkInterfaces": [card]}
            return ec2

        monkeypatch.setattr(elastic_ip_validation, "ec2_client", with_card)
        return check(url, made["AllocationId"], reassociate=True)[1]

    @pytest.mark.parametrize(
        ("card", "held", "service"),
        [
            ({}, {"NetworkInterfaceOwnerId": "amazon-elb"}, "amazon-elb"),
            ({}, {"ServiceManaged": "nlb"}, "nlb"),
            ({"RequesterManaged": True, "InterfaceType": "natGateway"}, {}, "natGateway"),
            ({"RequesterManaged": True}, {}, "AWS"),
        ],
    )
    def test_what_a_service_manages_is_taken_by_nobody(
        self,
        card: dict[str, Any],
        held: dict[str, str],
        service: str,
        moto_endpoint: str,
        here: EC2Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (problem,) = self.held_by_a_card(moto_endpoint, here, monkeypatch, card, **held)
        assert problem.endswith(
            f"is associated with the network interface eni-1, which {service} manages: AWS lets nobody take it from "
            "there; give one that is free"
        )

    def test_what_somebody_s_own_interface_has_may_be_taken(
        self, moto_endpoint: str, here: EC2Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.held_by_a_card(moto_endpoint, here, monkeypatch, {"RequesterManaged": False}) == []

    def test_a_carrier_address(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {"CarrierIp": "155.146.0.1", "NetworkBorderGroup": HERE}
        monkeypatch.setattr(elastic_ip_validation, "_find_address", lambda *_: found)
        _, problems = check(moto_endpoint, NOWHERE)
        assert problems == [
            f"{NOWHERE} has no public address, as carrier addresses of Wavelength Zones have none; give the id of an "
            "Elastic IP, or allocate one in the group eu-west-1"
        ]

    def test_another_border_group(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {"PublicIp": "192.0.2.1", "NetworkBorderGroup": "us-east-1-wl1-bos-wlz-1"}
        monkeypatch.setattr(elastic_ip_validation, "_find_address", lambda *_: found)
        _, problems = check(moto_endpoint, NOWHERE)
        assert problems == [
            f"{NOWHERE} is of the network border group us-east-1-wl1-bos-wlz-1, and the hosts are in eu-west-1's own "
            "zones; allocate one in the group eu-west-1"
        ]

    def test_without_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, problems = check(None, NOWHERE, credentials=False)
        assert problems == [f"{NOWHERE} cannot be looked up without AWS credentials; see `aws configure list`"]

    def test_without_permission(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse_in(HERE, "DescribeAddresses", monkeypatch)
        _, problems = check(moto_endpoint, NOWHERE)
        assert problems == [
            "the credentials may not ask for this (UnauthorizedOperation); allow what `aws ec2 describe-addresses` "
            "needs"
        ]

    def test_asks_only(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = watch(monkeypatch)
        check(moto_endpoint, NOWHERE)
        check(moto_endpoint, None)
        assert {name for name, _ in asked} == {"DescribeAddresses", "DescribeRegions", "DescribeAccountAttributes"}
        assert len({region for name, region in asked if name == "DescribeAddresses"}) > 15


class TestNew:
    def test_room(self, moto_endpoint: str, here: EC2Client) -> None:
        plan, problems = check(moto_endpoint, None)
        assert problems == []
        assert plan == ElasticIpPlan(
            ElasticIpSpec(None, False), None, "Elastic IP: a new one, released by `pulumi destroy`"
        )

    def test_full(self, moto_endpoint: str, here: EC2Client) -> None:
        made = [here.allocate_address(Domain="vpc")["AllocationId"] for _ in range(5)]
        plan, problems = check(moto_endpoint, None)
        assert plan is None
        assert problems == [
            "eu-west-1 has 5 Elastic IPs and its quota is 5; release one, give the id of one that is free, or ask for "
            "a higher quota (Service Quotas, EC2-VPC Elastic IPs)"
        ]
        # One of them is this stack's own: the stack is up already.
        own: list[Any] = [{"Key": "project", "Value": "tidemark"}, {"Key": "stack", "Value": STACK}]
        here.create_tags(Resources=[made[0]], Tags=own)
        assert check(moto_endpoint, None)[1] == []

    @pytest.mark.parametrize(
        ("address", "attribute"),
        [
            ({"PublicIpv4Pool": "ipv4pool-ec2-012345"}, "5"),
            ({"NetworkBorderGroup": "eu-west-1-wl1-bos-wlz-1"}, "5"),
            ({"ServiceManaged": "alb"}, "5"),
            ({"PublicIpv4Pool": "amazon"}, "unlimited"),
        ],
    )
    def test_what_does_not_count_stops_nobody(
        self, address: dict[str, str], attribute: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Account:
            def describe_addresses(self) -> Any:
                return {"Addresses": [address] * 5}

            def describe_account_attributes(self) -> Any:
                values = [{"AttributeValue": attribute}]
                return {"AccountAttributes": [{"AttributeName": "vpc-max-elastic-ips", "AttributeValues": values}]}

        monkeypatch.setattr(elastic_ip_validation, "ec2_client", lambda *_: Account())
        assert check("http://127.0.0.1:1", None)[1] == []

    def test_a_quota_that_is_not_told_stops_nobody(self, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse_in(HERE, "DescribeAccountAttributes", monkeypatch)
        plan, problems = check(moto_endpoint, None)
        assert plan is not None
        assert problems == []


def watch(monkeypatch: pytest.MonkeyPatch, before: Any = None) -> list[tuple[str, str]]:
    """The calls that are made, with their regions; `before` is called with each."""
    asked: list[tuple[str, str]] = []
    make = aws_api.ec2_client

    def watched(aws: AwsSettings, session: boto3.Session, region: str) -> Any:
        made = make(aws, session, region)

        def note(model: Any, **_: Any) -> None:
            asked.append((model.name, region))
            if before is not None:
                before(model.name, region)

        made.meta.events.register("before-call", note)
        return made

    monkeypatch.setattr(elastic_ip_validation, "ec2_client", watched)
    return asked


def refuse_in(region: str, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, at: str) -> None:
        if (name, at) == (operation, region):
            answer: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}
            raise botocore.exceptions.ClientError(answer, name)

    watch(monkeypatch, refuse)


class TestSettings:
    @pytest.mark.parametrize(
        ("raw", "spec"),
        [
            ({}, None),
            ({KEY: "none"}, None),
            ({KEY: "new"}, ElasticIpSpec(None, False)),
            ({KEY: NOWHERE}, ElasticIpSpec(NOWHERE, False)),
            ({KEY: "eipalloc-12345678", "tidemark:reassociate": "true"}, ElasticIpSpec("eipalloc-12345678", True)),
        ],
    )
    def test_read(self, raw: dict[str, str], spec: ElasticIpSpec | None) -> None:
        settings = Settings(raw, "s")
        assert read_elastic_ip(settings, default="none") == spec
        assert settings.errors == []
        settings.reject_unknown("tidemark")
        assert settings.errors == []

    @pytest.mark.parametrize(
        ("raw", "required", "line"),
        [
            (
                {KEY: "54.1.2.3"},
                False,
                f"{KEY}: 54.1.2.3 is no Elastic IP that can be asked for; give none, new, or the id of an allocation "
                "such as eipalloc-0123456789abcdef0",
            ),
            (
                {KEY: "eipalloc-XYZ"},
                True,
                f"{KEY}: eipalloc-XYZ is no Elastic IP that can be asked for; give new, or the id of an allocation "
                "such as eipalloc-0123456789abcdef0",
            ),
            (
                {KEY: "none"},
                True,
                f"{KEY}: none is no Elastic IP that can be asked for; give new, or the id of an allocation such as "
                "eipalloc-0123456789abcdef0",
            ),
            (
                {KEY: "new", "tidemark:reassociate": "true"},
                False,
                f"tidemark:reassociate: there is nothing to take an address from ({KEY} is new); remove it",
            ),
            (
                {KEY: NOWHERE, "tidemark:reassociate": "yes"},
                False,
                "tidemark:reassociate: yes is neither true nor false; write true or false",
            ),
        ],
    )
    def test_rejected(self, raw: dict[str, str], required: bool, line: str) -> None:
        settings = Settings(raw, "s")
        read_elastic_ip(settings, default="new" if required else "none", required=required)
        assert settings.errors == [f"stacks/Pulumi.s.yaml: {line}"]


class TestComponent:
    NEW = ElasticIpPlan(ElasticIpSpec(None, False), None, "")
    EXISTING = ElasticIpPlan(ElasticIpSpec(NOWHERE, True), "192.0.2.7", "")

    def make(self, plan: ElasticIpPlan, instance_id: str | None) -> Any:
        rows: list[Any] = []

        def declare() -> pulumi.Output[None]:
            made = ElasticIp("ip", {"plan": plan, "instance_id": instance_id, "depends_on": [], "tags": TAGS})
            return made.entry.apply(rows.append)

        return run_component(declare), rows[0]

    def test_a_new_one_that_the_tasks_move(self) -> None:
        run, row = self.make(self.NEW, None)
        assert [resource.type for resource in run.resources if resource.custom] == ["aws:ec2/eip:Eip"]
        eip = run.one(":Eip")
        assert eip.inputs == {"domain": "vpc", "tags": TAGS.named("ip")}
        assert eip.parent == run.one(":ElasticIp").urn
        assert eip.ignore_changes == ('tags["expires-at"]',)
        assert (row.id, row.allocated, row.reassociate) == ("id-ip-eip", True, False)

    def test_one_that_was_given_is_no_resource_that_could_be_released(self) -> None:
        run, row = self.make(self.EXISTING, None)
        assert [resource for resource in run.resources if resource.custom] == []
        assert (row.id, row.address, row.allocated, row.reassociate) == (NOWHERE, "192.0.2.7", False, True)

    def test_it_is_not_associated_when_somebody_has_it_by_then(self) -> None:
        def taken() -> None:
            raise pulumi.RunError("taken")

        plan = replace(self.EXISTING, recheck=taken)
        run = Run()
        with pytest.raises(pulumi.RunError, match=r"^taken$"):
            run_component(
                lambda: ElasticIp("ip", {"plan": plan, "instance_id": "i-1", "depends_on": [], "tags": TAGS}), run
            )
        assert run.of(":EipAssociation") == []

    @pytest.mark.parametrize(("plan", "allocation"), [(NEW, "id-ip-eip"), (EXISTING, NOWHERE)])
    def test_a_hosts_own(self, plan: ElasticIpPlan, allocation: str) -> None:
        run, _ = self.make(plan, "i-1")
        assert run.one(":EipAssociation").inputs == {
            "allocationId": allocation,
            "instanceId": "i-1",
            "allowReassociation": plan.spec.reassociate,
        }


def test_nothing_of_a_key_is_in_a_line(moto_endpoint: str, tmp_path: Path) -> None:
    _, (problem,) = check(moto_endpoint, NOWHERE)
    assert "rehearsal" not in problem
