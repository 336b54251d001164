"""Each component by itself: what it declares, below whom, after what, and what it must not open."""

from __future__ import annotations

import ipaddress
import itertools
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from aws_offers import CpuOptions
from components.file_system import ElasticFileSystem, FileSystemArgs, MountTargetGroup
from components.file_system_validation import FileSystemSpec
from components.host import Client, Host, HostArgs
from components.network import Network
from components.security_group import ISCSI_PORT, HostSecurityGroup
from components.storage_server import DEVICES, StorageServer
from components.tags import Tags, expiry
from components.volumes import VolumeSpec
from inventory import FileSystem, MountTarget
from tests.components.stack_program import Run, run_component

TAGS = Tags("tidemark", "md-raid.test", "md-raid", "2026-11-23T12:00:00Z")
ANYWHERE = {"0.0.0.0/0", "::/0"}


def host_args(**changes: Any) -> HostArgs:
    args: HostArgs = {
        "instance_type": "c4.8xlarge",
        "image_id": "ami-1",
        "subnet_id": "subnet-1",
        "security_group_id": "sg-1",
        "placement_group": "group",
        "key_name": "key",
        "user_data": "#!/bin/bash\n",
        "cpu_options": CpuOptions(4, 1),
        "memory_limit_mib": 2048,
        "instance_profile": None,
        "uplink_mbit_per_s": None,
        "depends_on": [],
        "tags": TAGS,
    }
    return {**args, **changes}  # type: ignore[typeddict-item]


def assert_children_belong_to(run: Run, component_type: str) -> None:
    component = run.one(component_type)
    for resource in run.resources:
        if resource is not component:
            assert resource.parent == component.urn, resource.name


def network(*zones: str, zone_is_chosen: bool = True) -> Network:
    return Network("net", {"zones": zones, "zone_is_chosen": zone_is_chosen, "tags": TAGS})


class TestNetwork:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(lambda: network("eu-central-1b"))

    def test_children(self, run: Run) -> None:
        assert_children_belong_to(run, "tidemark:network:Network")
        assert {resource.name for resource in run.resources} == {
            "net",
            "net-vpc",
            "net-subnet",
            "net-gateway",
            "net-routes",
            "net-default-route",
            "net-routes-of-subnet",
        }

    def test_subnet_is_in_the_vpc_and_the_zone(self, run: Run) -> None:
        subnet = run.one(":Subnet").inputs
        assert subnet["vpcId"] == "id-net-vpc"
        assert subnet["availabilityZone"] == "eu-central-1b"
        assert run.one(":Vpc").inputs["cidrBlock"] == "10.20.0.0/16"
        assert subnet["cidrBlock"] == "10.20.1.0/24"

    def test_way_out_is_the_gateway(self, run: Run) -> None:
        route = run.one(":Route").inputs
        assert route["destinationCidrBlock"] == "0.0.0.0/0"
        assert route["gatewayId"] == "id-net-gateway"
        association = run.one(":RouteTableAssociation").inputs
        assert association == {"routeTableId": "id-net-routes", "subnetId": "id-net-subnet"}
        assert run.one(":InternetGateway").inputs["vpcId"] == "id-net-vpc"

    def test_subnet_gives_each_host_that_starts_a_public_address(self, run: Run) -> None:
        assert run.one(":Subnet").inputs["mapPublicIpOnLaunch"] is True

    def test_a_subnet_s_successor_finds_its_block_free(self, run: Run) -> None:
        assert run.one(":Subnet").delete_before_replace

    def test_says_what_limits_jumbo_frames(self) -> None:
        assert "9001" in str(Network.__doc__)
        assert "1500" in str(Network.__doc__)


class TestNetworkOfSeveralZones:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(lambda: network("eu-central-1b", "eu-central-1a", "eu-central-1c"))

    def test_a_subnet_in_each_zone(self, run: Run) -> None:
        assert {(s.name, s.inputs["availabilityZone"], s.inputs["cidrBlock"]) for s in run.of(":Subnet")} == {
            ("net-subnet", "eu-central-1b", "10.20.1.0/24"),
            ("net-subnet-2", "eu-central-1a", "10.20.2.0/24"),
            ("net-subnet-3", "eu-central-1c", "10.20.3.0/24"),
        }
        assert_children_belong_to(run, "tidemark:network:Network")

    def test_subnets_are_inside_the_vpc_and_apart(self, run: Run) -> None:
        vpc = ipaddress.IPv4Network(run.one(":Vpc").inputs["cidrBlock"])
        blocks = [ipaddress.IPv4Network(subnet.inputs["cidrBlock"]) for subnet in run.of(":Subnet")]
        assert all(block.subnet_of(vpc) for block in blocks)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(blocks, 2))

    def test_each_has_the_way_out(self, run: Run) -> None:
        found = {(a.name, a.inputs["routeTableId"], a.inputs["subnetId"]) for a in run.of(":RouteTableAssociation")}
        assert found == {
            ("net-routes-of-subnet", "id-net-routes", "id-net-subnet"),
            ("net-routes-of-subnet-2", "id-net-routes", "id-net-subnet-2"),
            ("net-routes-of-subnet-3", "id-net-routes", "id-net-subnet-3"),
        }

    def test_the_first_has_the_names_that_it_has_alone(self, run: Run) -> None:
        alone = run_component(lambda: network("eu-central-1b"))
        for resource in alone.resources:
            several = run.named(resource.name)
            assert (several.type, several.inputs) == (resource.type, resource.inputs)

    @pytest.mark.parametrize(
        ("zone_is_chosen", "stay"), [(True, {"net-subnet", "net-subnet-2"}), (False, {"net-subnet-2"})]
    )
    def test_what_nobody_named_is_chosen_once(self, zone_is_chosen: bool, stay: set[str]) -> None:
        run = run_component(lambda: network("eu-central-1b", "eu-central-1a", zone_is_chosen=zone_is_chosen))
        assert {s.name for s in run.of(":Subnet") if "availabilityZone" in s.ignore_changes} == stay


class TestHostSecurityGroup:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(
            lambda: HostSecurityGroup(
                "members",
                {
                    "vpc_id": "vpc-1",
                    "vpc_cidr": "10.20.0.0/16",
                    "ssh_cidr": "203.0.113.7/32",
                    "ports": {"iSCSI": ISCSI_PORT},
                    "tags": TAGS,
                },
            )
        )

    def test_children(self, run: Run) -> None:
        assert_children_belong_to(run, "tidemark:security:Members")

    def test_group_has_no_rules_of_its_own(self, run: Run) -> None:
        # Beside rules that are resources they would overwrite each other.
        group = run.one(":SecurityGroup").inputs
        assert group["vpcId"] == "vpc-1"
        assert "ingress" not in group
        assert "egress" not in group

    def test_nothing_comes_in_but_ssh_and_members(self, run: Run) -> None:
        rules = {
            (r["ipProtocol"], r.get("fromPort"), r.get("toPort"), r.get("cidrIpv4") or "members")
            for r in (rule.inputs for rule in run.of(":SecurityGroupIngressRule"))
        }
        assert rules == {
            ("tcp", 22, 22, "203.0.113.7/32"),
            ("tcp", 3260, 3260, "members"),
            ("icmp", -1, -1, "members"),
        }

    def test_nothing_is_open_to_anywhere(self, run: Run) -> None:
        for rule in run.of(":SecurityGroupIngressRule"):
            assert ANYWHERE.isdisjoint({rule.inputs.get("cidrIpv4"), rule.inputs.get("cidrIpv6")})
            assert rule.inputs["ipProtocol"] != "-1"

    def test_iscsi_is_for_members_only(self, run: Run) -> None:
        rule = run.named("members-in-iscsi").inputs
        assert rule["referencedSecurityGroupId"] == "id-members-group"
        assert "cidrIpv4" not in rule

    def test_what_goes_out(self, run: Run) -> None:
        rules = {
            (r["ipProtocol"], r.get("toPort"), r.get("cidrIpv4") or "members")
            for r in (rule.inputs for rule in run.of(":SecurityGroupEgressRule"))
        }
        assert rules == {
            ("-1", None, "members"),
            ("tcp", 80, "0.0.0.0/0"),
            ("tcp", 443, "0.0.0.0/0"),
            ("udp", 53, "10.20.0.0/16"),
            ("tcp", 53, "10.20.0.0/16"),
        }

    def test_each_rule_says_why(self, run: Run) -> None:
        for rule in (*run.of(":SecurityGroupIngressRule"), *run.of(":SecurityGroupEgressRule")):
            # The characters that EC2 takes (API reference, IpRange).
            assert re.fullmatch(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=;{}!$*]{1,255}", rule.inputs["description"])
            assert rule.inputs["securityGroupId"] == "id-members-group"


def test_members_open_no_port_that_was_not_asked_for() -> None:
    run = run_component(
        lambda: HostSecurityGroup(
            "members",
            {
                "vpc_id": "vpc-1",
                "vpc_cidr": "10.20.0.0/16",
                "ssh_cidr": "203.0.113.7/32",
                "ports": {},
                "tags": TAGS,
            },
        )
    )
    assert {rule.name for rule in run.of(":SecurityGroupIngressRule")} == {"members-in-ssh", "members-in-icmp"}


class TestMountTargetGroup:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(
            lambda: MountTargetGroup("targets", {"vpc_id": "vpc-1", "host_group_id": "sg-members", "tags": TAGS})
        )

    def test_children(self, run: Run) -> None:
        assert_children_belong_to(run, "tidemark:security:MountTargetGroup")

    def test_group_has_no_rules_of_its_own(self, run: Run) -> None:
        group = run.one(":SecurityGroup").inputs
        assert group["vpcId"] == "vpc-1"
        assert "ingress" not in group
        assert "egress" not in group

    def test_nfs_from_members_is_all_that_comes_in(self, run: Run) -> None:
        rule = run.one(":SecurityGroupIngressRule").inputs
        assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == ("id-targets-group", "sg-members")
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 2049, 2049)
        assert "cidrIpv4" not in rule

    def test_nothing_goes_out_of_it_and_nfs_alone_goes_to_it(self, run: Run) -> None:
        rule = run.one(":SecurityGroupEgressRule").inputs
        assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == ("sg-members", "id-targets-group")
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 2049, 2049)
        assert "cidrIpv4" not in rule


def file_system_args(
    mode: str = "bursting", mib_per_s: int | None = None, availability: str = "regional", zones: str = "ab"
) -> FileSystemArgs:
    return {
        "spec": FileSystemSpec(mode, mib_per_s, "generalPurpose", availability, len(zones)),
        "zones": [f"eu-central-1{letter}" for letter in zones],
        "subnet_ids": [f"subnet-{number}" for number in range(1, len(zones) + 1)],
        "security_group_id": "sg-targets",
        "tags": TAGS,
    }


class TestElasticFileSystem:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(lambda: ElasticFileSystem("files", file_system_args()))

    def test_children(self, run: Run) -> None:
        assert_children_belong_to(run, "tidemark:storage:ElasticFileSystem")

    def test_is_encrypted_and_as_asked_for(self, run: Run) -> None:
        found = run.one(":FileSystem")
        assert found.inputs == {
            "encrypted": True,
            "throughputMode": "bursting",
            "performanceMode": "generalPurpose",
            "tags": TAGS.named("files") | {"data": "disposable"},
        }
        assert found.ignore_changes == ('tags["expires-at"]',)

    def test_nothing_is_moved_to_slower_storage(self, run: Run) -> None:
        assert "lifecyclePolicies" not in run.one(":FileSystem").inputs

    def test_a_mount_target_in_each_zone(self, run: Run) -> None:
        assert {target.name: target.inputs for target in run.of(":MountTarget")} == {
            name: {"fileSystemId": "id-files-efs", "subnetId": subnet, "securityGroups": ["sg-targets"]}
            for name, subnet in [("files-mount-target", "subnet-1"), ("files-mount-target-2", "subnet-2")]
        }

    def test_regional_is_in_no_zone_and_has_no_backups_to_refuse(self, run: Run) -> None:
        assert "availabilityZoneName" not in run.one(":FileSystem").inputs
        assert run.of(":BackupPolicy") == []

    def test_one_zone_is_in_its_zone_and_not_backed_up(self) -> None:
        args = file_system_args(availability="one-zone", zones="b")
        run = run_component(lambda: ElasticFileSystem("files", args))
        assert run.one(":FileSystem").inputs["availabilityZoneName"] == "eu-central-1b"
        assert run.one(":BackupPolicy").inputs == {
            "fileSystemId": "id-files-efs",
            "backupPolicy": {"status": "DISABLED"},
        }

    def test_provisioned(self) -> None:
        args = file_system_args("provisioned", 128)
        inputs = run_component(lambda: ElasticFileSystem("files", args)).one(":FileSystem").inputs
        assert (inputs["throughputMode"], inputs["provisionedThroughputInMibps"]) == ("provisioned", 128)

    @pytest.mark.parametrize("one_zone", [False, True])
    def test_row_of_the_inventory(self, one_zone: bool) -> None:
        rows: list[FileSystem] = []
        args = file_system_args("provisioned", 128, "one-zone" if one_zone else "regional")
        run_component(lambda: ElasticFileSystem("files", args).entry.apply(rows.append))
        assert rows == [
            FileSystem(
                id="id-files-efs",
                throughput_mode="provisioned",
                provisioned_mib_per_s=128,
                performance_mode="generalPurpose",
                one_zone="eu-central-1a" if one_zone else None,
                mount_targets=(
                    MountTarget("id-files-mount-target", "eu-central-1a", "10.20.1.200"),
                    MountTarget("id-files-mount-target-2", "eu-central-1b", "10.20.2.200"),
                ),
            )
        ]


class TestHost:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(lambda: Host("client", host_args()))

    def test_children(self, run: Run) -> None:
        assert_children_belong_to(run, "tidemark:host:Host")

    def test_metadata_needs_a_token(self, run: Run) -> None:
        options = run.one(":Instance").inputs["metadataOptions"]
        assert options["httpTokens"] == "required"
        assert options["httpPutResponseHopLimit"] == 1

    def test_root_volume_is_encrypted_and_goes_with_the_host(self, run: Run) -> None:
        root = run.one(":Instance").inputs["rootBlockDevice"]
        assert root["encrypted"] is True
        assert root["deleteOnTermination"] is True

    def test_powering_off_ends_it(self, run: Run) -> None:
        assert run.one(":Instance").inputs["instanceInitiatedShutdownBehavior"] == "terminate"

    def test_leaves_its_public_address_to_the_subnet_and_has_no_profile(self, run: Run) -> None:
        """Asked for here, it is missed while the instance is stopped, and another instance planned in its place."""
        inputs = run.one(":Instance").inputs
        assert "associatePublicIpAddress" not in inputs
        assert "iamInstanceProfile" not in inputs
        assert inputs["vpcSecurityGroupIds"] == ["sg-1"]

    def test_cpu_options_at_launch(self, run: Run) -> None:
        assert run.one(":Instance").inputs["cpuOptions"] == {"coreCount": 4, "threadsPerCore": 1}

    def test_changed_user_data_makes_a_new_host_when_the_old_one_has_gone(self, run: Run) -> None:
        assert run.one(":Instance").inputs["userDataReplaceOnChange"] is True
        assert run.one(":Instance").delete_before_replace

    def test_unlimited(self) -> None:
        run = run_component(lambda: Host("client", host_args(cpu_options=None, memory_limit_mib=None)))
        inputs = run.one(":Instance").inputs
        assert "cpuOptions" not in inputs
        assert "memory-limit-mib" not in inputs["tags"]

    def test_without_a_placement_group(self) -> None:
        run = run_component(lambda: Host("client", host_args(placement_group=None)))
        assert "placementGroup" not in run.one(":Instance").inputs

    def test_boots_after_what_it_needs(self) -> None:
        def make() -> Host:
            first = Host("first", host_args())
            return Host("second", host_args(depends_on=[first.instance]))

        run = run_component(make)
        assert run.named("first-instance").urn in run.named("second-instance").dependencies


class TestStorageServer:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls) -> Run:
        return run_component(
            lambda: StorageServer(
                "storage-1",
                host_args(),
                {
                    "count": 3,
                    "volume": VolumeSpec("io2", 50, 5000),
                    "zone": "eu-central-1a",
                    "protect": False,
                    "tags": TAGS,
                },
            )
        )

    def test_volumes(self, run: Run) -> None:
        volumes = run.of(":Volume")
        assert len(volumes) == 3
        for volume in volumes:
            assert volume.parent == run.one(":StorageServer").urn
            assert volume.inputs["encrypted"] is True
            assert (volume.inputs["type"], volume.inputs["size"], volume.inputs["iops"]) == ("io2", 50, 5000)

    def test_attachments(self, run: Run) -> None:
        found = {
            (a["deviceName"], a["volumeId"], a["instanceId"])
            for a in (attachment.inputs for attachment in run.of(":VolumeAttachment"))
        }
        assert found == {
            (f"/dev/sd{letter}", f"id-storage-1-volume-{number}", "id-storage-1-instance")
            for number, letter in enumerate("fgh", start=1)
        }

    def test_host_goes_before_its_volumes_and_takes_the_attachments(self, run: Run) -> None:
        host = run.one(":Instance")
        assert {volume.urn for volume in run.of(":Volume")} <= set(host.dependencies)
        assert {attachment.deleted_with for attachment in run.of(":VolumeAttachment")} == {host.urn}

    def test_device_names_that_ec2_leaves_to_volumes(self) -> None:
        assert tuple(f"/dev/sd{letter}" for letter in "fghijklmnop") == DEVICES


def test_client_is_a_host_without_volumes() -> None:
    run = run_component(lambda: Client("client", host_args()))
    assert [r.type for r in run.resources if r.custom] == ["aws:ec2/instance:Instance"]
    assert run.one(":Host").parent == run.one(":Client").urn


def test_expiry_is_utc_in_whole_seconds() -> None:
    assert expiry(4, datetime(2026, 11, 23, 22, 30, 5, 999, tzinfo=UTC)) == "2026-11-24T02:30:05Z"
