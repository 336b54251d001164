"""The whole program of efs-iops under mocks: what it declares, how it is tied together, what it exports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.exceptions
import pulumi
import pytest

from components import region_validation
from inventory import MountTarget
from tests.components.every_stack import (
    SITE,
    check_boot_order,
    check_image,
    check_names,
    check_root_volumes,
    check_tags,
    inventory_of,
)
from tests.components.stack_program import (
    PERSON,
    Resource,
    Run,
    config_with,
    declare,
    lab_config,
    run_program,
    stack_file,
)

STACK = "efs-iops.eu-central-1"
AWS_STACKS = (STACK, "efs-iops.us-east-1")

UNTAGGED = (":Route", ":RouteTableAssociation", ":MountTarget", ":BackupPolicy")  # AWS has no tags for these


@pytest.fixture
def run(declare_once: Callable[..., Run]) -> Run:
    """The unchanged stack."""
    return declare_once(STACK)


@pytest.fixture
def spread(declare_once: Callable[..., Run]) -> Run:
    """Five clients in three zones, the first of them named."""
    return declare_once(STACK, clients="5", clientZones="3", zone="eu-central-1b")


def without_tags(value: Any) -> Any:
    """The inputs without what tells the time, which is another in another second."""
    if isinstance(value, dict):
        return {key: without_tags(item) for key, item in value.items() if key != "tags"}
    return value


def test_declares_the_published_setup(run: Run) -> None:
    assert Counter(resource.type for resource in run.resources if resource.custom) == {
        **SITE,
        "aws:ec2/securityGroup:SecurityGroup": 2,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 3,
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 6,
        "aws:efs/fileSystem:FileSystem": 1,
        "aws:efs/mountTarget:MountTarget": 1,
        "aws:ec2/instance:Instance": 2,
    }
    assert run.calls == [("aws:ssm/getParameter:getParameter", {"name": "/aws/service/debian/release/12/latest/amd64"})]


def test_the_file_system_is_as_published(run: Run) -> None:
    inputs = run.one(":FileSystem").inputs
    assert (inputs["throughputMode"], inputs["performanceMode"]) == ("bursting", "generalPurpose")
    assert inputs["encrypted"] is True
    assert {"provisionedThroughputInMibps", "availabilityZoneName", "lifecyclePolicies"}.isdisjoint(inputs)


def test_components_are_the_parents(run: Run) -> None:
    top = "tidemark:experiments:EfsIops"
    assert run.parents("client-2-instance") == ["tidemark:host:Host", "tidemark:client:Client", top]
    assert run.parents("efs-iops-network-subnet") == ["tidemark:network:Network", top]
    assert run.parents("efs-iops-members-in-ssh") == ["tidemark:security:Members", top]
    assert run.parents("efs-iops-mount-targets-in-nfs") == ["tidemark:security:MountTargetGroup", top]
    assert run.parents("efs-iops-file-system-efs") == ["tidemark:storage:ElasticFileSystem", top]
    assert run.parents("efs-iops-file-system-mount-target") == ["tidemark:storage:ElasticFileSystem", top]
    assert run.parents("efs-iops-key-pair") == [top]


@pytest.mark.parametrize("which", ["run", "spread"])
def test_names_are_unique(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    check_names(run)


@pytest.mark.parametrize("which", ["run", "spread"])
def test_everything_that_can_be_tagged_is_tagged(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    check_tags(run, "efs-iops", STACK, UNTAGGED)


def test_root_volumes_are_tagged_and_keep_their_expiry(run: Run) -> None:
    check_root_volumes(run, STACK)


def test_hosts_are_named_by_tag_and_not_limited(run: Run) -> None:
    assert {instance.inputs["tags"]["Name"] for instance in run.of(":Instance")} == {"client-1", "client-2"}
    for instance in run.of(":Instance"):
        assert "memory-limit-mib" not in instance.inputs["tags"]
        assert "cpuOptions" not in instance.inputs
        assert "placementGroup" not in instance.inputs
        assert "memory_limit_mib=''" in instance.inputs["userData"]


def test_hosts_boot_after_their_way_out_and_rules(run: Run) -> None:
    check_boot_order(run)


def test_hosts_and_mount_targets_do_not_wait_for_each_other(run: Run) -> None:
    hosts, targets = run.of(":Instance"), run.of(":MountTarget")
    for one, others in ((hosts, targets), (targets, hosts)):
        for resource in one:
            assert {other.urn for other in others}.isdisjoint(resource.dependencies)


def test_image_is_looked_up_and_then_stays(run: Run) -> None:
    check_image(run)


class TestLeastOpenPort:
    """What gets through, derived from the declared rules: a way that the one side opens and the other does
    not is none.
    """

    MEMBERS = "id-efs-iops-members-group"
    TARGETS = "id-efs-iops-mount-targets-group"

    @staticmethod
    def ways(rules: list[Resource]) -> set[tuple[str, str, str, int | None]]:
        """(group, peer, protocol, port) of each rule; a rule is for one port, or all of a protocol."""
        found = set()
        for rule in rules:
            inputs = rule.inputs
            assert inputs.get("fromPort") == inputs.get("toPort")
            peer = inputs.get("cidrIpv4") or inputs["referencedSecurityGroupId"]
            found.add((inputs["securityGroupId"], peer, inputs["ipProtocol"], inputs.get("toPort")))
        return found

    @pytest.mark.parametrize("which", ["run", "spread"])
    def test_what_comes_in(self, which: str, request: pytest.FixtureRequest) -> None:
        run: Run = request.getfixturevalue(which)
        assert self.ways(run.of(":SecurityGroupIngressRule")) == {
            (self.MEMBERS, PERSON, "tcp", 22),
            (self.MEMBERS, self.MEMBERS, "icmp", -1),
            (self.TARGETS, self.MEMBERS, "tcp", 2049),
        }

    def test_mount_targets_begin_nothing(self, run: Run) -> None:
        assert self.TARGETS not in {group for group, *_ in self.ways(run.of(":SecurityGroupEgressRule"))}

    def test_members_reach_mount_targets_by_nfs_alone(self, run: Run) -> None:
        ways = self.ways(run.of(":SecurityGroupEgressRule"))
        assert {(protocol, port) for _, peer, protocol, port in ways if peer == self.TARGETS} == {("tcp", 2049)}
        assert {peer for _, peer, protocol, _ in ways if protocol == "-1"} == {self.MEMBERS}
        anywhere = {(protocol, port) for _, peer, protocol, port in ways if peer == "0.0.0.0/0"}
        assert anywhere == {("tcp", 80), ("tcp", 443)}

    def test_who_is_in_which_group(self, run: Run) -> None:
        assert {tuple(i.inputs["vpcSecurityGroupIds"]) for i in run.of(":Instance")} == {(self.MEMBERS,)}
        assert {tuple(t.inputs["securityGroups"]) for t in run.of(":MountTarget")} == {(self.TARGETS,)}


class TestSeveralZones:
    def test_clients_are_dealt_out_in_turn(self, spread: Run) -> None:
        assert [host.zone[-1] for host in inventory_of(spread).hosts_in("client")] == ["b", "a", "c", "b", "a"]

    def test_each_is_in_the_subnet_of_its_zone(self, spread: Run) -> None:
        zone_of = {f"id-{subnet.name}": subnet.inputs["availabilityZone"] for subnet in spread.of(":Subnet")}
        for host in inventory_of(spread).hosts:
            instance = spread.named(f"{host.name}-instance")
            assert zone_of[instance.inputs["subnetId"]] == host.zone

    def test_each_client_has_a_mount_target_in_its_zone(self, spread: Run) -> None:
        found = inventory_of(spread)
        assert found.file_system is not None
        subnet_of = {target.name: target.inputs["subnetId"] for target in spread.of(":MountTarget")}
        zone_of = {f"id-{subnet.name}": subnet.inputs["availabilityZone"] for subnet in spread.of(":Subnet")}
        for host in found.hosts:
            target = found.file_system.mount_target_in(host.zone)
            assert zone_of[subnet_of[target.id.removeprefix("id-")]] == host.zone

    def test_no_zone_has_a_mount_target_for_nobody(self, spread: Run) -> None:
        found = inventory_of(spread)
        assert found.file_system is not None
        assert {t.zone for t in found.file_system.mount_targets} == {host.zone for host in found.hosts}

    def test_a_zone_that_was_named_may_be_changed_and_no_other(self, spread: Run, run: Run) -> None:
        stay = {s.name for s in spread.of(":Subnet") if "availabilityZone" in s.ignore_changes}
        assert stay == {"efs-iops-network-subnet-2", "efs-iops-network-subnet-3"}
        assert "availabilityZone" in run.one(":Subnet").ignore_changes


def test_one_zone(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, availability="one-zone", zone="eu-central-1c")
    assert run.one(":FileSystem").inputs["availabilityZoneName"] == "eu-central-1c"
    found = inventory_of(run)
    assert found.file_system is not None
    assert found.file_system.one_zone == "eu-central-1c"
    assert {host.zone for host in found.hosts} == {"eu-central-1c"}
    assert run.lines[-1] == (
        "file system: One Zone: its data is in eu-central-1c alone, and lost if that zone is; it stays, and is "
        "billed, until `pulumi destroy`, also after its hosts have ended"
    )


def test_provisioned(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, throughputMode="provisioned", provisionedMibPerS="100")
    inputs = run.one(":FileSystem").inputs
    assert (inputs["throughputMode"], inputs["provisionedThroughputInMibps"]) == ("provisioned", 100)
    found = inventory_of(run).file_system
    assert found is not None
    assert (found.throughput_mode, found.provisioned_mib_per_s) == ("provisioned", 100)
    assert run.outputs["usd_per_hour"] == "1.48"


def test_max_io(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, performanceMode="maxIO")
    assert run.one(":FileSystem").inputs["performanceMode"] == "maxIO"
    found = inventory_of(run).file_system
    assert found is not None
    assert found.performance_mode == "maxIO"


def test_elastic_says_what_it_costs_to_use(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, throughputMode="elastic")
    assert run.one(":FileSystem").inputs["throughputMode"] == "elastic"
    (line,) = [line for line in run.lines if line.startswith("cost: ")]
    assert line.endswith(
        ", plus $0.04 a GB read, $0.07 a GB written (32 KiB an operation at least), $0.36 a GiB stored for a month"
    )


def test_what_is_absent_is_as_published(run: Run, public_key_file: Path) -> None:
    config = config_with(STACK, {}, public_key_file)
    written = {"aws:region", *(f"tidemark:{key}" for key in ("experiment", "sshCidr", "sshPublicKeyFile"))}
    least = {key: config[key] for key in written} | {"tidemark:lifetimeHours": "4"}
    short = run_program(Run(), least, STACK)

    def declared(run: Run) -> dict[tuple[str, str], Any]:
        return {(resource.type, resource.name): without_tags(resource.inputs) for resource in run.resources}

    assert declared(short) == declared(run)


class TestZonesWithoutEfs:
    """moto's us-east-1e has the id use1-az3, where EFS has no mount targets; it offers m4.xlarge."""

    STACK = "efs-iops.us-east-1"

    def run(self, url: str, public_key_file: Path, **changes: str) -> Run:
        endpoints = json.dumps([dict.fromkeys(("ec2", "efs", "ssm"), url)])
        account = {"aws:endpoints": endpoints, "aws:accessKey": "rehearsal", "aws:secretKey": "rehearsal"}
        config = config_with(
            self.STACK, account | {f"tidemark:{key}": value for key, value in changes.items()}, public_key_file
        )
        return run_program(Run(), config, self.STACK)

    def test_are_not_chosen(self, moto_endpoint: str, public_key_file: Path) -> None:
        run = self.run(moto_endpoint, public_key_file, clients="5", clientZones="5", maxUsdPerHour="none")
        # The SDK declares them in any order.
        assert sorted(subnet.inputs["availabilityZone"][-1] for subnet in run.of(":Subnet")) == [*"abcdf"]

    def test_are_refused_by_name(self, moto_endpoint: str, public_key_file: Path) -> None:
        with pytest.raises(pulumi.RunError) as refused:
            self.run(moto_endpoint, public_key_file, zone="us-east-1e")
        assert str(refused.value).endswith(
            "tidemark:zone: us-east-1e does not offer EFS and m4.xlarge (the account's own answer); choose one of "
            "us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f"
        )

    def test_that_cannot_be_told_are_a_note(
        self, moto_endpoint: str, public_key_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(*_: object) -> frozenset[str]:
            answer: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}
            raise botocore.exceptions.ClientError(answer, "DescribeAvailabilityZones")

        monkeypatch.setattr(region_validation, "_zone_names", denied)
        run = self.run(moto_endpoint, public_key_file)
        assert run.lines[0] == "which zones have EFS could not be looked up (UnauthorizedOperation)"


def test_a_burstable_type_may_be_a_client(public_key_file: Path) -> None:
    # No placement group is asked for, so nothing forbids it.
    run = declare(STACK, public_key_file, clientType="t3.micro")
    assert {instance.inputs["instanceType"] for instance in run.of(":Instance")} == {"t3.micro"}


def test_limits(public_key_file: Path) -> None:
    run = declare(STACK, public_key_file, cpuLimit="2", memoryLimitMib="2048")
    for instance in run.of(":Instance"):
        assert instance.inputs["cpuOptions"] == {"coreCount": 2, "threadsPerCore": 1}
        assert instance.inputs["tags"]["memory-limit-mib"] == "2048"
    client = inventory_of(run).host("client-2")
    assert (client.cpu_limit, client.memory_limit_mib) == (2, 2048)


def test_inventory(run: Run, public_key_file: Path) -> None:
    found = inventory_of(run)
    assert (found.experiment, found.stack, found.region) == ("efs-iops", STACK, "eu-central-1")
    assert not found.rehearsal
    assert [(host.name, host.role, host.type, host.volumes) for host in found.hosts] == [
        ("client-1", "client", "m4.xlarge", ()),
        ("client-2", "client", "m4.xlarge", ()),
    ]
    assert {(host.cpu_limit, host.memory_limit_mib) for host in found.hosts} == {(None, None)}
    assert found.file_system is not None
    assert found.file_system.id == "id-efs-iops-file-system-efs"
    assert found.file_system.throughput_mode == "bursting"
    assert found.file_system.performance_mode == "generalPurpose"
    assert (found.file_system.provisioned_mib_per_s, found.file_system.one_zone) == (None, None)
    assert found.file_system.mount_targets == (
        MountTarget("id-efs-iops-file-system-mount-target", "eu-central-1a", "10.20.1.200"),
    )


def test_human_outputs(run: Run) -> None:
    assert set(run.outputs) == {"inventory", "client_addresses", "file_system_id", "expires_at", "usd_per_hour"}
    found = inventory_of(run)
    assert found.file_system is not None
    assert run.outputs["client_addresses"] == [host.address for host in found.hosts]
    assert run.outputs["file_system_id"] == found.file_system.id
    assert run.outputs["expires_at"] == found.expires_at
    assert run.outputs["usd_per_hour"] == "0.49"


def test_says_what_it_costs_and_where_the_data_is(run: Run) -> None:
    assert run.lines == [
        "no AWS credentials: region and types are checked by the table of 2026-11, not by your account",
        "cost: $0.49 an hour in eu-central-1, $1.97 until its hosts end themselves after 4 h "
        "(prices of 2025-06, without traffic and tax), plus $0.36 a GiB stored for a month",
        "file system: Regional: its data is in several zones of eu-central-1, and outlives the loss of one; it "
        "stays, and is billed, until `pulumi destroy`, also after its hosts have ended",
    ]


@pytest.mark.parametrize("changes", [{}, {"clients": "4", "clientZones": "2"}, {"availability": "one-zone"}])
def test_a_preview_declares_what_a_run_does(
    changes: dict[str, str], declare_once: Callable[..., Run], public_key_file: Path
) -> None:
    config = config_with(STACK, {f"tidemark:{key}": value for key, value in changes.items()}, public_key_file)
    preview = run_program(Run(), config, STACK, preview=True)
    run = declare_once(STACK, **changes)
    assert {(r.type, r.name) for r in preview.resources} == {(r.type, r.name) for r in run.resources}
    # What hangs on an id or an address is not known yet, and nothing has been made up in its place.
    assert preview.outputs == {}
    assert preview.lines == run.lines


@pytest.mark.parametrize("stack", AWS_STACKS)
def test_aws_stacks_need_only_the_persons_network(stack: str, public_key_file: Path) -> None:
    assert "tidemark:sshCidr" not in stack_file(stack)
    found = inventory_of(declare(stack, public_key_file))
    assert found.region == stack.partition(".")[2]
    assert not found.rehearsal


def test_lab_stack_differs_from_aws_in_the_hosts_memory_and_the_way_in() -> None:
    lab, aws = stack_file("efs-iops.lab"), stack_file(STACK)
    differing = {key for key in lab.keys() | aws.keys() if lab.get(key) != aws.get(key)}
    assert {key for key in differing if key.startswith("tidemark:")} == {
        "tidemark:sshCidr",
        "tidemark:sshPublicKeyFile",
        "tidemark:sshProxyCommand",
        "tidemark:memoryLimitMib",
    }


def test_lab_stacks_have_the_same_way_in() -> None:
    ours, others = stack_file("efs-iops.lab"), stack_file("md-raid.lab")
    (endpoints,) = json.loads(ours["aws:endpoints"])
    (fewer,) = json.loads(others["aws:endpoints"])
    assert endpoints.keys() - fewer.keys() == {"efs", "cloudwatch"}
    assert set(endpoints.values()) == set(fewer.values())
    for key in others:
        if key.startswith(("aws:", "tidemark:ssh")) and key != "aws:endpoints":
            assert ours[key] == others[key]


def test_lab_stack_against_an_endpoint(public_key_file: Path, moto_endpoint: str) -> None:
    run = run_program(Run(), lab_config("efs-iops.lab", moto_endpoint, public_key_file), "efs-iops.lab")
    found = inventory_of(run)
    assert found.rehearsal
    assert {host.memory_limit_mib for host in found.hosts} == {512}
    assert run.lines[0].startswith("cost: none, this is a rehearsal; on AWS: $0.49 an hour in eu-central-1")
