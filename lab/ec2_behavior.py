"""Elastic IPs and volumes of the region's API, where moto differs from EC2.

Elastic IPs (EC2 User Guide, "Elastic IP addresses"): an address is public (moto's are of 127.0.0.0/8, which no host
routes) and names its network border group; a region has a quota. An instance has one address at a time, keeps it while
it is stopped, and frees it when it is terminated. When an address moves, the instance that had it gets a public address
of its own again, if it was launched with one. AssociateAddress moves an associated address unless AllowReassociation is
false (moto refuses by default). A stopped instance has no public address or name of its own. Starting a running
instance changes nothing, not even its public address.

Volumes (AttachVolume, and "Error codes for the Amazon EC2 API"): EC2 refuses to attach a volume that is attached, at a
device name that is taken, or to a terminated instance. moto allows all of it, which would hide a deployment that
attaches a volume to a new server before it has left the old one.
"""

from __future__ import annotations

import copy
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import random_public_ip

from lab.ec2_deletion import delete_interfaces
from lab.moto_changes import Method, instead_of

QUOTA = 5  # a region's default (Amazon VPC quotas), and what moto's DescribeAccountAttributes answers
_ATTACHABLE = frozenset({"running", "stopped", "stopping"})


@instead_of(ElasticAddress, "__init__")
def _init(moto: Method, self: Any, ec2_backend: Any, domain: str, *arguments: Any, **named: Any) -> None:
    moto(self, ec2_backend, domain, *arguments, **named)
    self.network_border_group = ec2_backend.region_name
    taken = {address.public_ip for address in ec2_backend.addresses}
    while self.public_ip.startswith("127.") or self.public_ip in taken:
        self.public_ip = random_public_ip()


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
    delete_interfaces(self)
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
