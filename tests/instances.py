"""Instances of moto's account, of an image that is registered for them: moto's own are left out (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client


def launch(ec2: EC2Client, count: int = 1, tags: Mapping[str, str] | None = None) -> list[str]:
    """The ids of instances that run."""
    image = ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    pairs = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    specification = [{"ResourceType": "instance", "Tags": pairs}] if pairs else []
    made = ec2.run_instances(
        ImageId=image,
        MinCount=count,
        MaxCount=count,
        TagSpecifications=specification,  # type: ignore[arg-type]  # the stubs have literals
    )
    return [instance["InstanceId"] for instance in made["Instances"]]


@contextmanager
def closed_ingress(ec2: Any, group: str) -> Iterator[None]:
    """Lets a group's rules open port 1 instead of their own.

    They stay the same rules: what was authorized instead of them would be in no state, and in the way of a destroy.
    """
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    rules = [rule for rule in found if not rule["IsEgress"]]
    assert rules
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[_with_ports(rule, 1, 1) for rule in rules])
    try:
        yield
    finally:
        as_before = [_with_ports(rule, rule["FromPort"], rule["ToPort"]) for rule in rules]
        ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=as_before)


def _with_ports(rule: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    changed = {"IpProtocol": rule["IpProtocol"], "FromPort": first, "ToPort": last}
    if "CidrIpv4" in rule:
        changed["CidrIpv4"] = rule["CidrIpv4"]
    else:
        changed["ReferencedGroupId"] = rule["ReferencedGroupInfo"]["GroupId"]
    return {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": changed}
