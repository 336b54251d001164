"""Deletions that EC2 refuses, or that take something along, and moto's do not.

EC2 deletes nothing that is still in use (EC2 and VPC User Guides; "Error codes for the Amazon EC2 API"): a subnet or a
security group with a network interface, a group that another group's rule names, a VPC with a gateway or a group of its
own, an associated address. It detaches no gateway from a VPC with public addresses in
it. A terminated instance loses its network interfaces; a deleted subnet loses its association with a route table. What
is deleted has no tags any more.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.instances import Instance
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.tags import TagBackend
from moto.ec2.models.vpcs import VPCBackend

from lab.moto_changes import Method, instead_of


def delete_interfaces(instance: Instance) -> None:
    """Deletes the network interfaces of an instance that has been terminated."""
    for interface in instance.nics.values():
        instance.ec2_backend.enis.pop(interface.id, None)


def _violation(what: str) -> Exception:
    return DependencyViolationError(f"{what} has dependencies and cannot be deleted.")


@instead_of(SecurityGroupBackend, "delete_security_group")
def _delete_group(moto: Method, self: Any, name: str | None = None, group_id: str | None = None) -> None:
    group = self.get_security_group_from_id(group_id) if group_id else None
    if group is not None and group.name != "default":
        used = any(each.id == group_id for interface in self.enis.values() for each in interface.group_set)
        named = any(
            rule.source_group.get("GroupId") == group_id
            for groups in self.groups.values()
            for other in groups.values()
            if other.id != group_id
            for rule in (*other.ingress_rules, *other.egress_rules)
        )
        if used or named:
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
    moto(self, name, group_id)


@instead_of(SubnetBackend, "delete_subnet")
def _delete_subnet(moto: Method, self: Any, subnet_id: str) -> Any:
    if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
        raise _violation(f"The subnet '{subnet_id}'")
    deleted = moto(self, subnet_id)
    for table in self.route_tables.values():
        for association, associated in list(table._associations.items()):
            if associated == subnet_id:
                del table._associations[association]
    return deleted


@instead_of(VPCBackend, "delete_vpc")
def _delete_vpc(moto: Method, self: Any, vpc_id: str) -> Any:
    attached = any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in self.internet_gateways.values())
    groups = [group for group in self.groups.get(vpc_id, {}).values() if group.name != "default"]
    if attached or groups:
        raise _violation(f"The vpc '{vpc_id}'")
    return moto(self, vpc_id)


@instead_of(InternetGatewayBackend, "detach_internet_gateway")
def _detach_gateway(moto: Method, self: Any, internet_gateway_id: str, vpc_id: str) -> None:
    for interface in self.enis.values():
        if interface.subnet.vpc_id == vpc_id and interface.public_ip:
            raise DependencyViolationError(f"Network {vpc_id} has some mapped public address(es).")
    moto(self, internet_gateway_id, vpc_id)


@instead_of(ElasticAddressBackend, "release_address")
def _release(moto: Method, self: Any, address: str | None = None, allocation_id: str | None = None) -> None:
    found = self.address_by_allocation([allocation_id]) if allocation_id else []
    if found and found[0].association_id:
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {found[0].public_ip} is in use.")
    moto(self, address, allocation_id)


@instead_of(TagBackend, "describe_tags")
def _describe_tags(moto: Method, self: Any, filters: Any = None) -> Any:
    groups = [group for of_vpc in self.groups.values() for group in of_vpc.values()]
    existing = {
        "eipalloc": {address.allocation_id for address in self.addresses},
        "igw": self.internet_gateways,
        "key": {pair.id for pair in self.key_pairs.values()},
        "rtb": self.route_tables,
        "sg": {group.id for group in groups},
        "sgr": {rule.id for group in groups for rule in (*group.ingress_rules, *group.egress_rules)},
        "subnet": {id for of_zone in self.subnets.values() for id in of_zone},
        "vol": self.volumes,
        "vpc": self.vpcs,
    }
    found = moto(self, filters)
    # EC2 goes on to show a terminated instance, and its tags, for a while.
    ids = ((each, each["resource_id"]) for each in found)
    return [each for each, id in ids if id in existing.get(id.partition("-")[0], (id,))]
