"""Where moto differs from AWS, and these experiments or their deployment would see it.

Elastic IPs (EC2 User Guide, "Elastic IP addresses"): an address is public (moto's are of 127.0.0.0/8, which no host
routes), is given once, and names its network border group; a region has a quota. An instance has one address at a time,
keeps it while it is stopped, and frees it when it is terminated. When an address moves, the instance that had it gets a
public address of its own again, if it was launched with one. AssociateAddress moves an associated address unless
AllowReassociation is false (moto refuses by default). A stopped instance has no public address or name of its own.
Starting a running instance changes nothing, not even its public address.

Volumes (AttachVolume, and "Error codes for the Amazon EC2 API"): EC2 refuses to attach a volume that is attached, at a
device name that is taken, or to a terminated instance. moto allows all of it, which would hide a deployment that
attaches a volume to a new server before it has left the old one.

Deletions (EC2 and VPC User Guides; the same error codes): EC2 deletes nothing that is still in use: a subnet or a
security group with a network interface, a group that another group's rule names, a VPC with a gateway or a group of its
own, an associated address. It detaches no gateway from a VPC with public addresses in it. A terminated instance loses
its network interfaces; a deleted subnet loses its association with a route table. What is deleted has no tags any more.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.tags import TagBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import random_public_ip
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

QUOTA = 5  # a region's default (Amazon VPC quotas), and what moto's DescribeAccountAttributes answers
_ATTACHABLE = frozenset({"running", "stopped", "stopping"})

Method = Callable[..., Any]
_changes: dict[tuple[type, str], Method] = {}


def instead_of(owner: type, name: str) -> Callable[[Method], Method]:
    """Registers a function for the place of a method, which the function gets as its first argument."""
    moto = getattr(owner, name)

    def register(change: Method) -> Method:
        @functools.wraps(moto)
        def method(*arguments: Any, **named: Any) -> Any:
            return change(moto, *arguments, **named)

        _changes[owner, name] = method
        return change

    return register


def change_moto() -> None:
    """Puts all registered functions in their places; a second call changes nothing."""
    for (owner, name), method in _changes.items():
        setattr(owner, name, method)


@instead_of(ElasticAddress, "__init__")
def _init(moto: Method, self: Any, ec2_backend: Any, domain: str, *arguments: Any, **named: Any) -> None:
    moto(self, ec2_backend, domain, *arguments, **named)
    self.network_border_group = ec2_backend.region_name
    self.public_ip = _free_public_ip()


@instead_of(NetworkInterface, "check_auto_public_ip")
def _assign_own_address(moto: Method, self: Any) -> None:
    before = self.public_ip
    moto(self)
    if self.public_ip != before:
        self.public_ip = _free_public_ip()


def _free_public_ip() -> str:
    """Returns a public address that nothing has: moto's are of 65,025, at random, and would be given twice."""
    held: set[str | None] = set()
    for region in ec2_backends[DEFAULT_ACCOUNT_ID].values():
        held.update(address.public_ip for address in region.addresses)
        held.update(interface.public_ip for interface in region.enis.values())
    while (chosen := random_public_ip()) in held:
        pass
    return chosen


@instead_of(ElasticAddressBackend, "allocate_address")
def _allocate(moto: Method, self: Any, *arguments: Any, **named: Any) -> ElasticAddress:
    if len(self.addresses) >= QUOTA:
        raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    made: ElasticAddress = moto(self, *arguments, **named)
    return made


@instead_of(ElasticAddressBackend, "associate_address")
def _associate(
    moto: Method,
    self: Any,
    instance: Any = None,
    eni: Any = None,
    address: str | None = None,
    allocation_id: str | None = None,
    reassociate: bool = False,
) -> ElasticAddress:
    wanted = self.address_by_allocation([allocation_id]) if allocation_id else self.address_by_ip([address])
    interface = eni or instance.nics[0]
    if wanted[0].eni is interface:  # EC2 answers with the existing association
        held: ElasticAddress = wanted[0]
        return held
    before = wanted[0].eni
    made: ElasticAddress = moto(self, instance, eni, address, allocation_id, reassociate)
    if before is not None:
        _restore_own_address(before)
    for other in self.addresses:
        if other is not made and other.eni is interface:
            other.instance = other.eni = other.association_id = None
    return made


@instead_of(ElasticIPAddresses, "associate_address")
def _associate_call(moto: Method, self: Any) -> Any:
    parameter = self._get_param

    def with_ec2s_default(name: str, if_none: Any = None, *arguments: Any, **named: Any) -> Any:
        return parameter(name, True if name == "AllowReassociation" else if_none, *arguments, **named)

    self._get_param = with_ec2s_default  # of this one request
    return moto(self)


@instead_of(Instance, "stop")
def _stop(moto: Method, self: Any) -> Any:
    before = moto(self)
    for interface in self.nics.values():
        interface.public_ip = None
    _show_elastic_ips(self)
    return before


@instead_of(Instance, "start")
def _start(moto: Method, self: Any) -> Any:
    if self._state.name == "running":
        return copy.copy(self._state)
    before = moto(self)
    _show_elastic_ips(self)
    return before


@instead_of(Instance, "terminate")
def _terminate(moto: Method, self: Any) -> Any:
    for address in _addresses_of(self):
        address.instance = address.eni = address.association_id = None
    before = moto(self)
    for interface in self.nics.values():
        self.ec2_backend.enis.pop(interface.id, None)
    return before


def _show_elastic_ips(instance: Any) -> None:
    for address in _addresses_of(instance):
        address.eni.public_ip = address.public_ip


def _addresses_of(instance: Any) -> list[Any]:
    interfaces = list(instance.nics.values())
    addresses: list[Any] = ec2_backends[DEFAULT_ACCOUNT_ID][instance.region_name].addresses
    return [address for address in addresses if address.eni is not None and address.eni in interfaces]


def _restore_own_address(interface: Any) -> None:
    interface.public_ip = None
    if interface.instance is not None and interface.instance._state.name == "running":
        interface.check_auto_public_ip()


@instead_of(EBSBackend, "attach_volume")
def _attach_volume(
    moto: Method, self: Any, volume_id: str, instance_id: str, device_path: str, *arguments: Any, **named: Any
) -> Any:
    volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
    if volume.attachment is not None:
        raise EC2ClientError("VolumeInUse", f"{volume_id} is already attached to an instance")
    if instance._state.name not in _ATTACHABLE:
        raise EC2ClientError("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
    if device_path in instance.block_device_mapping:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
        )
    return moto(self, volume_id, instance_id, device_path, *arguments, **named)


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


@instead_of(FakeBucket, "get_permission")
def _ask_no_conditions(_: Method, bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    """moto knows no conditions of a bucket's policy, and applies a statement that has one to everybody. It is left out:
    who may do what, a rehearsal can't tell.
    """
    statements = json.loads(bucket.policy)["Statement"] if bucket.policy else []
    plain = [each for each in statements if "Condition" not in each]
    return IAMPolicy(json.dumps({"Statement": plain})).is_action_permitted(action, resource)
