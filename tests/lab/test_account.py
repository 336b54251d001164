"""What the reconciler is told of the account: plain values from the API's answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lab.account import Rule, Volume, authorized_key, read_account, running_host, user_data
from lab.endpoint import DEBIAN_IMAGE_PARAMETER
from lab.errors import LabError
from tests.lab.conftest import Api

VPC_CIDR = "10.20.0.0/16"
PUBLIC_CIDR = "10.20.1.0/24"
PRIVATE_CIDR = "10.20.2.0/24"


class Vpc:
    """A VPC with a subnet that has a way to the internet and one that has none, and an empty group."""

    def __init__(self, api: Api) -> None:
        self.clients = api.clients
        ec2 = self.ec2 = api.ec2
        self.image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        self.vpc = ec2.create_vpc(CidrBlock=VPC_CIDR)["Vpc"]["VpcId"]
        self.public = ec2.create_subnet(VpcId=self.vpc, CidrBlock=PUBLIC_CIDR)["Subnet"]["SubnetId"]
        self.private = ec2.create_subnet(VpcId=self.vpc, CidrBlock=PRIVATE_CIDR)["Subnet"]["SubnetId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        ec2.associate_route_table(RouteTableId=table, SubnetId=self.public)
        self.group = ec2.create_security_group(GroupName="members", Description="d", VpcId=self.vpc)["GroupId"]

    def run(self, subnet: str, **more: Any) -> str:
        launched = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[
                {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [self.group], "AssociatePublicIpAddress": True}
            ],
            **more,
        )
        return launched["Instances"][0]["InstanceId"]


@pytest.fixture
def vpc(api: Api) -> Vpc:
    return Vpc(api)


def test_an_empty_account_has_neither_instances_nor_volumes(api: Api) -> None:
    account = read_account(api.clients)
    assert account.instances == ()
    assert account.volumes == {}
    assert {len(group.group_id) > 3 for group in account.groups} == {True}  # the default VPC's


def test_an_instance_with_its_name_tags_groups_and_address(vpc: Vpc) -> None:
    tags = [{"Key": "Name", "Value": "client"}, {"Key": "memory-limit-mib", "Value": "2048"}]
    instance_id = vpc.run(vpc.public, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    (instance,) = read_account(vpc.clients).instances
    assert instance.instance_id == instance_id
    assert instance.name == "client"
    assert instance.tag("memory-limit-mib") == "2048"
    assert instance.tag("no-such-tag") is None
    assert instance.address.startswith("10.20.1.")
    assert instance.subnet_cidr == PUBLIC_CIDR
    assert instance.groups == (vpc.group,)
    assert instance.state in ("pending", "running")
    assert instance.key_name is None
    assert instance.volumes == frozenset()


def test_an_instance_without_a_name_is_called_by_its_id(vpc: Vpc) -> None:
    instance_id = vpc.run(vpc.public)
    assert read_account(vpc.clients).instances[0].name == instance_id


def test_only_a_route_to_the_gateway_makes_an_address_public(vpc: Vpc) -> None:
    names = {vpc.run(vpc.public): "public", vpc.run(vpc.private): "private"}
    found = {names[i.instance_id]: i.public_address for i in read_account(vpc.clients).instances}
    assert found["public"] is not None
    assert found["private"] is None


def test_a_subnet_without_a_table_of_its_own_follows_the_main_one(vpc: Vpc) -> None:
    vpc.run(vpc.private)
    tables = vpc.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc.vpc]}])["RouteTables"]
    (main,) = [table for table in tables if any(a.get("Main") for a in table["Associations"])]
    gateway = vpc.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc.vpc]}])
    vpc.ec2.create_route(
        RouteTableId=main["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGateways"][0]["InternetGatewayId"],
    )
    assert read_account(vpc.clients).instances[0].public_address is not None


def test_roots_are_left_out_and_attached_volumes_named(vpc: Vpc) -> None:
    root = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]
    instance_id = vpc.run(vpc.public, BlockDeviceMappings=root)
    zone = vpc.ec2.describe_subnets(SubnetIds=[vpc.public])["Subnets"][0]["AvailabilityZone"]
    attached = vpc.ec2.create_volume(AvailabilityZone=zone, Size=50, VolumeType="gp2")["VolumeId"]
    free = vpc.ec2.create_volume(AvailabilityZone=zone, Size=7, VolumeType="gp3")["VolumeId"]
    vpc.ec2.attach_volume(VolumeId=attached, InstanceId=instance_id, Device="/dev/sdf")
    account = read_account(vpc.clients)
    assert account.volumes == {attached: Volume(50, "gp2"), free: Volume(7, "gp3")}
    assert account.instances[0].instance_type == "t3.micro"
    assert account.instances[0].volumes == {attached}
    vpc.ec2.detach_volume(VolumeId=attached, InstanceId=instance_id)
    assert read_account(vpc.clients).instances[0].volumes == frozenset()


@pytest.mark.parametrize(
    ("permission", "rule"),
    [
        (
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [{"CidrIp": "198.51.100.0/24"}]},
            Rule("tcp", 22, 23, ("198.51.100.0/24",), ()),
        ),
        (
            {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            Rule("icmp", None, None, ("10.0.0.0/8",), ()),
        ),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, Rule("-1", None, None, ("0.0.0.0/0",), ())),
        (
            {"IpProtocol": "17", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            Rule("udp", 53, 53, ("10.0.0.0/8",), ()),
        ),
        (
            {
                "IpProtocol": "tcp",
                "FromPort": 1,
                "ToPort": 1,
                "IpRanges": [{"CidrIp": "10.9.0.0/16"}, {"CidrIp": "10.8.0.0/16"}],
            },
            Rule("tcp", 1, 1, ("10.8.0.0/16", "10.9.0.0/16"), ()),
        ),
    ],
)
def test_a_permission_is_a_rule(vpc: Vpc, permission: Any, rule: Rule) -> None:
    vpc.ec2.authorize_security_group_ingress(GroupId=vpc.group, IpPermissions=[permission])
    (group,) = [g for g in read_account(vpc.clients).groups if g.group_id == vpc.group]
    assert group.ingress == (rule,)
    assert group.egress == (Rule("-1", None, None, ("0.0.0.0/0",), ()),)  # what AWS opens in a new group


def test_a_permission_for_members_names_the_group(vpc: Vpc) -> None:
    members: Any = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": vpc.group}]}
    vpc.ec2.authorize_security_group_ingress(GroupId=vpc.group, IpPermissions=[members])
    (group,) = [g for g in read_account(vpc.clients).groups if g.group_id == vpc.group]
    assert group.ingress == (Rule("-1", None, None, (), (vpc.group,)),)


def test_user_data_and_launch_key_as_they_were_given(vpc: Vpc, lab_folder: Any) -> None:
    public_key = (lab_folder / "id_ed25519.pub").read_text()
    vpc.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=public_key.encode())
    script = "#!/bin/sh\necho 'größer'\n"
    instance_id = vpc.run(vpc.public, UserData=script, KeyName="mine")
    assert user_data(vpc.ec2, instance_id) == script.encode()
    assert user_data(vpc.ec2, vpc.run(vpc.public)) == b""
    assert authorized_key(vpc.ec2, "mine") == public_key.strip() + "\n"
    assert authorized_key(vpc.ec2, None) == ""
    assert {instance.key_name for instance in read_account(vpc.clients).instances} == {"mine", None}


# --- the calls that the endpoint adds to moto's -----------------------------------------------------------


def test_the_console_is_the_hosts_own_and_its_last_64_kib(vpc: Vpc, api: Api) -> None:
    instance_id = vpc.run(vpc.public)
    assert api.ec2.get_console_output(InstanceId=instance_id)["Output"] == ""
    (api.consoles / instance_id).write_bytes(b"early" + b"\x1b[0m" * 20000 + b"tidemark-host-key: ssh-ed25519 AAAA\n")
    output = api.ec2.get_console_output(InstanceId=instance_id)["Output"]
    assert output.endswith("\x1b[0mtidemark-host-key: ssh-ed25519 AAAA\n")
    assert len(output) == 65536


def test_a_forced_stop_is_told_apart(vpc: Vpc, api: Api) -> None:
    gently, forced = vpc.run(vpc.public), vpc.run(vpc.public)
    api.ec2.stop_instances(InstanceIds=[gently])
    api.ec2.stop_instances(InstanceIds=[forced], Force=True)
    assert api.endpoint.forced_stops == {forced}
    assert {i.state for i in read_account(api.clients).instances} == {"stopped"}


def test_looking_does_not_wake_the_reconciler_and_changing_does(vpc: Vpc, api: Api) -> None:
    api.endpoint.changed.clear()
    read_account(api.clients)
    api.clients.ssm.get_parameter(Name=DEBIAN_IMAGE_PARAMETER)
    assert not api.endpoint.changed.is_set()
    vpc.run(vpc.public)
    assert api.endpoint.changed.is_set()


def test_debians_image_is_where_debian_publishes_it(vpc: Vpc, api: Api) -> None:
    parameter = api.clients.ssm.get_parameter(Name=DEBIAN_IMAGE_PARAMETER)["Parameter"]
    assert parameter["Value"] == vpc.image


def test_user_data_that_is_no_text_arrives_as_it_is(vpc: Vpc) -> None:
    binary = bytes(range(256))
    instance_id = vpc.run(vpc.public, UserData=binary)
    assert user_data(vpc.ec2, instance_id) == binary
    assert base64.b64encode(binary)


def named(vpc: Vpc, name: str, subnet: str) -> str:
    tags = [{"Key": "Name", "Value": name}]
    return vpc.run(subnet, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])


def test_a_running_host_is_found_by_its_name_however_it_was_deployed(vpc: Vpc) -> None:
    with pytest.raises(LabError, match=r"^client: no such host; none runs in the region$"):
        running_host(read_account(vpc.clients), "client")
    former, present = named(vpc, "client", vpc.public), named(vpc, "client", vpc.public)
    named(vpc, "storage-1", vpc.public)
    named(vpc, "hidden", vpc.private)
    vpc.ec2.terminate_instances(InstanceIds=[former])
    account = read_account(vpc.clients)
    assert running_host(account, "client").instance_id == present
    with pytest.raises(LabError, match=r"^storage-9: no such host; there are client, hidden, storage-1$"):
        running_host(account, "storage-9")
    with pytest.raises(LabError, match=r"^hidden: it has no public address"):
        running_host(account, "hidden")


def test_file_systems_with_their_mount_targets(api: Api, vpc: Vpc) -> None:
    assert read_account(api.clients).file_systems == ()
    system = api.clients.efs.create_file_system(
        CreationToken="t", ThroughputMode="provisioned", ProvisionedThroughputInMibps=64
    )["FileSystemId"]
    target = api.clients.efs.create_mount_target(FileSystemId=system, SubnetId=vpc.private, SecurityGroups=[vpc.group])
    (found,) = read_account(api.clients).file_systems
    assert (found.file_system_id, found.throughput_mode, found.provisioned_mib_per_s) == (system, "provisioned", 64)
    (at,) = found.mount_targets
    assert (at.mount_target_id, at.address) == (target["MountTargetId"], target["IpAddress"])
    assert (at.subnet_cidr, at.groups) == (PRIVATE_CIDR, (vpc.group,))


def test_looking_at_file_systems_and_metrics_wakes_nobody(api: Api) -> None:
    api.clients.efs.create_file_system(CreationToken="t")
    assert api.endpoint.changed.is_set()
    api.endpoint.changed.clear()
    read_account(api.clients)
    api.clients.cloudwatch.list_metrics(Namespace="AWS/EFS")
    assert not api.endpoint.changed.is_set()
