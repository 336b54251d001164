"""The stack output `inventory`: the document about the hosts that the tasks read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_offers import PRICES_AS_OF
from components import cost as costs
from components.host import Host
from components.image import LOGIN_USER
from components.network import MTU, VPC_CIDR
from components.security_group import SSH_PORT
from components.stack_validation import ValidatedStack
from components.volumes import VolumeSpec
from inventory import Bucket, Cost, ElasticIp, FileSystem, Inventory, Network, Ssh, Volume
from inventory import Host as InventoryHost


@dataclass(frozen=True)
class HostEntry:
    """A host in the inventory, with what is known before it exists."""

    name: str
    role: str
    type: str
    host: Host
    zone: pulumi.Input[str]
    volumes: Sequence[pulumi.Output[Volume]] = ()


def volume_entry(volume: aws.ebs.Volume, device: str, spec: VolumeSpec) -> pulumi.Output[Volume]:
    """Returns a volume for the inventory. Only the id is an output: numbers come back from the engine as floats."""
    return volume.id.apply(lambda found: Volume(found, device, spec.size_gib, spec.type, spec.baseline_iops))


def inventory_output(
    stack: ValidatedStack[Any],
    entries: Sequence[HostEntry],
    *,
    vpc_id: pulumi.Input[str],
    file_system: pulumi.Output[FileSystem] | None = None,
    elastic_ips: Sequence[pulumi.Output[ElasticIp]] = (),
    bucket: pulumi.Output[Bucket] | None = None,
) -> pulumi.Output[str]:
    """Returns the document as text: a structured output would turn whole numbers into floats.

    The text is read back once, so that a deployment never exports an inventory that its own reader rejects.
    """
    common, limits = stack.common, stack.limits

    def build(known: dict[str, Any]) -> str:
        found = Inventory(
            project=common.project,
            stack=common.stack,
            experiment=common.experiment,
            region=common.aws.region,
            rehearsal=common.aws.rehearsal,
            # The experiment ends with the first host that ends.
            expires_at=min(host["expires_at"] for host in known["hosts"]),
            ssh=Ssh(LOGIN_USER, common.ssh_public_key.identity_file, common.ssh_proxy_command),
            network=Network(MTU, VPC_CIDR, known["vpc_id"]),
            hosts=tuple(
                InventoryHost(
                    name=entry.name,
                    role=entry.role,
                    id=host["id"],
                    type=entry.type,
                    zone=host["zone"],
                    # A stopped instance has no public address. The tasks look up the new one by its id.
                    address=host["address"] or host["id"],
                    port=SSH_PORT,
                    private_address=host["private_address"],
                    host_keys=(),
                    cpu_limit=limits.cpus,
                    memory_limit_mib=limits.memory_mib,
                    volumes=tuple(host["volumes"]),
                )
                for entry, host in zip(entries, known["hosts"], strict=True)
            ),
            file_system=known["file_system"],
            elastic_ips=tuple(known["elastic_ips"]),
            bucket=known["bucket"],
            cost=_cost(stack.cost),
        )
        text = found.to_json()
        Inventory.from_json(text, f"the inventory of {common.stack}")
        return text

    hosts = [
        pulumi.Output.all(
            id=entry.host.instance.id,
            address=entry.host.address,
            private_address=entry.host.private_address,
            zone=entry.zone,
            expires_at=entry.host.expires_at,
            volumes=pulumi.Output.all(*entry.volumes),
        )
        for entry in entries
    ]
    return pulumi.Output.all(
        vpc_id=vpc_id,
        hosts=pulumi.Output.all(*hosts),
        file_system=file_system,
        elastic_ips=pulumi.Output.all(*elastic_ips),
        bucket=bucket,
    ).apply(build)


def _cost(known: costs.Cost) -> Cost | None:
    if known.usd_per_hour is None:
        return None
    # Rounded to a hundredth of a cent, to drop the rest of the binary fraction.
    return Cost(round(known.usd_per_hour, 4), PRICES_AS_OF, known.usage_prices)
