"""What EC2 refuses to delete, and what it deletes along; moto does otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.conftest import Api


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


@pytest.fixture
def network(api: Api) -> tuple[str, str, str, str]:
    """A VPC with a subnet, a group and a gateway."""
    ec2 = api.ec2
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return vpc, subnet, group, gateway


def host(api: Api, subnet: str, group: str) -> str:
    image = api.ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    made = api.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[group])
    return made["Instances"][0]["InstanceId"]


def test_what_a_host_stands_on_goes_after_it(api: Api, network: tuple[str, str, str, str]) -> None:
    vpc, subnet, group, gateway = network
    ec2 = api.ec2
    instance = host(api, subnet, group)
    assert refused(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
    assert refused(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
    assert refused(lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.delete_subnet(SubnetId=subnet)
    assert refused(lambda: ec2.delete_vpc(VpcId=vpc)) == "DependencyViolation", "a group of its own"
    ec2.delete_security_group(GroupId=group)
    assert refused(lambda: ec2.delete_vpc(VpcId=vpc)) == "DependencyViolation", "a gateway"
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_vpc(VpcId=vpc)


def test_a_group_that_another_groups_rule_names_stays(api: Api, network: tuple[str, str, str, str]) -> None:
    vpc, _, group, _ = network
    ec2 = api.ec2
    other = ec2.create_security_group(GroupName="other", Description="d", VpcId=vpc)["GroupId"]
    rule = ec2.authorize_security_group_ingress(
        GroupId=other,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": group}]}],
    )["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": group}]}],
    )
    assert refused(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=other, SecurityGroupRuleIds=[rule])
    ec2.delete_security_group(GroupId=group)


def test_a_subnet_takes_its_association_with_a_route_table_along(api: Api, network: tuple[str, str, str, str]) -> None:
    vpc, subnet, _, _ = network
    table = api.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    api.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    assert refused(lambda: api.ec2.delete_route_table(RouteTableId=table)) == "DependencyViolation"
    api.ec2.delete_subnet(SubnetId=subnet)
    api.ec2.delete_route_table(RouteTableId=table)


def test_an_associated_address_is_not_released(api: Api, network: tuple[str, str, str, str]) -> None:
    _, subnet, group, _ = network
    instance = host(api, subnet, group)
    address = api.ec2.allocate_address(Domain="vpc")["AllocationId"]
    api.ec2.associate_address(AllocationId=address, InstanceId=instance)
    assert refused(lambda: api.ec2.release_address(AllocationId=address)) == "InvalidIPAddress.InUse"
    api.ec2.terminate_instances(InstanceIds=[instance])
    api.ec2.release_address(AllocationId=address)


def test_what_is_deleted_has_no_tags(api: Api) -> None:
    ec2 = api.ec2

    def tagged(kind: str) -> Any:
        return [{"ResourceType": kind, "Tags": [{"Key": "project", "Value": "tidemark"}]}]

    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24", TagSpecifications=tagged("subnet"))["Subnet"]
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table"))["RouteTable"]
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
    group = ec2.create_security_group(
        GroupName="g", Description="g", VpcId=vpc, TagSpecifications=tagged("security-group")
    )["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}],
        TagSpecifications=tagged("security-group-rule"),
    )
    volume = ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1, TagSpecifications=tagged("volume"))["VolumeId"]
    ec2.create_key_pair(KeyName="k", TagSpecifications=tagged("key-pair"))
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))["AllocationId"]
    kinds = {tag["ResourceType"] for tag in ec2.describe_tags()["Tags"]}
    assert len(kinds) == 9, kinds

    ec2.delete_volume(VolumeId=volume)
    ec2.delete_key_pair(KeyName="k")
    ec2.release_address(AllocationId=address)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_tags()["Tags"] == []
