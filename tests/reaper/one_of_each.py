"""Creates one resource of each kind that the stacks declare, tied together as theirs are."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.conftest import REGION, Api

OURS = {
    "project": "tidemark",
    "stack": "eip-region.lab",
    "experiment": "eip-region",
    "expires-at": "2020-01-01T00:00:00Z",
    "Name": "host-1",
    "data": "disposable",
}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ALLOWED = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})


def pairs(tags: dict[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def specification(kind: str, tags: dict[str, str]) -> list[Any]:
    return [{"ResourceType": kind, "Tags": pairs(tags)}] if tags else []


def create_one_of_each(api: Api, tags: dict[str, str], number: int = 0) -> None:
    """Creates them with these tags, in a VPC of their own. `number` tells the names of several sets apart."""
    role = f"tidemark-s3-throttle-lab-role-{number}"
    profile = f"tidemark-s3-throttle-lab-profile-{number}"
    iam = api.clients.iam
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST, Tags=pairs(tags))
    iam.put_role_policy(RoleName=role, PolicyName="policy", PolicyDocument=POLICY)
    iam.create_instance_profile(InstanceProfileName=profile, Tags=pairs(tags))
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    subnet, group = _create_network(api, tags)
    _create_host(api, tags, subnet, group, number, profile)
    efs = api.clients.efs
    system = efs.create_file_system(CreationToken=f"token-{number}", Tags=pairs(tags))["FileSystemId"]
    efs.create_mount_target(FileSystemId=system, SubnetId=subnet, SecurityGroups=[group])
    s3, bucket = api.clients.s3, f"tidemark-s3-throttle-lab-{number:07}"
    here: Any = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=here)
    if tags:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs(tags)})
    s3.put_object(Bucket=bucket, Key="object", Body=b"x")
    s3.create_multipart_upload(Bucket=bucket, Key="begun")


def _create_network(api: Api, tags: dict[str, str]) -> tuple[str, str]:
    ec2 = api.ec2
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=specification("vpc", tags))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock="10.20.1.0/24",
        AvailabilityZone=f"{REGION}a",
        TagSpecifications=specification("subnet", tags),
    )["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway(TagSpecifications=specification("internet-gateway", tags))
    ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGateway"]["InternetGatewayId"], VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=specification("route-table", tags))
    ec2.associate_route_table(RouteTableId=table["RouteTable"]["RouteTableId"], SubnetId=subnet)
    group = ec2.create_security_group(
        GroupName="eip-region-members-group",
        Description="Hosts of tidemark eip-region.lab",
        VpcId=vpc,
        TagSpecifications=specification("security-group", tags),
    )["GroupId"]
    permission: Any = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "198.51.100.0/24"}]}]
    rule = specification("security-group-rule", tags)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permission, TagSpecifications=rule)
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=permission, TagSpecifications=rule)
    return subnet, group


def _create_host(api: Api, tags: dict[str, str], subnet: str, group: str, number: int, profile: str) -> None:
    ec2 = api.ec2
    key, together = f"eip-region-key-pair-{number}", f"md-raid-placement-group-{number}"
    ec2.create_key_pair(KeyName=key, TagSpecifications=specification("key-pair", tags))
    ec2.create_placement_group(
        GroupName=together, Strategy="cluster", TagSpecifications=specification("placement-group", tags)
    )
    image = ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    instance = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        SecurityGroupIds=[group],
        KeyName=key,
        Placement={"GroupName": together, "AvailabilityZone": f"{REGION}a"},
        IamInstanceProfile={"Name": profile},
        TagSpecifications=specification("instance", tags),
    )["Instances"][0]["InstanceId"]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=specification("volume", tags))[
        "VolumeId"
    ]
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", tags))["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=instance)
