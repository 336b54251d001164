"""The stack output `inventory`: what the engine knows of the hosts, as the document that the tasks read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_offers import PRICES_AS_OF
from components import prices
from components.config import CommonConfig
from components.host import Host
from components.image import LOGIN_USER
from components.network import MTU, VPC_CIDR
from components.security_group import SSH_PORT
from inventory import Bucket, Cost, ElasticIp, FileSystem, Inventory, Network, Ssh, Volume
from inventory import Host as InventoryHost


@dataclass(frozen=True)
class HostRow:
    """A host, with what is known of it before it exists."""

    name: str
    role: str
    type: str
    host: Host
    zone: pulumi.Input[str]
    volumes: Sequence[pulumi.Output[Volume]] = ()


def volume_row(
    volume: aws.ebs.Volume, device: str, size_gib: int, volume_type: str, iops: int | None
) -> pulumi.Output[Volume]:
    """A volume whose id is to come. The rest is as asked for: numbers that come back from the engine are
    floats.
    """
    return volume.id.apply(lambda found: Volume(found, device, size_gib, volume_type, iops))


def inventory_output(
    common: CommonConfig,
    rows: Sequence[HostRow],
    *,
    cost: prices.Cost,
    vpc_id: pulumi.Input[str],
    cpu_limit: int | None,
    memory_limit_mib: int | None,
    file_system: pulumi.Output[FileSystem] | None = None,
    elastic_ips: Sequence[pulumi.Output[ElasticIp]] = (),
    bucket: pulumi.Output[Bucket] | None = None,
) -> pulumi.Output[str]:
    """The document as text (a structured output would turn whole numbers into floats), read back once, so
    that a deployment never exports an inventory that its own reader refuses.
    """

    def build(known: dict[str, Any]) -> str:
        found = Inventory(
            project=common.project,
            stack=common.stack,
            experiment=common.experiment,
            region=common.aws.region,
            rehearsal=common.aws.rehearsal,
            # The tags keep their first value (components/tags.py); the first host to end ends the experiment.
            expires_at=min(host["expires_at"] for host in known["hosts"]),
            ssh=Ssh(LOGIN_USER, common.ssh_public_key.identity_file, common.ssh_proxy_command),
            network=Network(MTU, VPC_CIDR, known["vpc_id"]),
            hosts=tuple(
                InventoryHost(
                    name=row.name,
                    role=row.role,
                    id=host["id"],
                    type=row.type,
                    zone=host["zone"],
                    # A stopped instance has no public address. Its id stands for the one that it will have, and the
                    # tasks ask for that (workloads/power.py).
                    address=host["address"] or host["id"],
                    port=SSH_PORT,
                    private_address=host["private_address"],
                    host_keys=(),
                    cpu_limit=cpu_limit,
                    memory_limit_mib=memory_limit_mib,
                    volumes=tuple(host["volumes"]),
                )
                for row, host in zip(rows, known["hosts"], strict=True)
            ),
            file_system=known["file_system"],
            elastic_ips=tuple(known["elastic_ips"]),
            bucket=known["bucket"],
            cost=_cost(cost),
        )
        text = found.to_json()
        Inventory.from_json(text, f"the inventory of {common.stack}")
        return text

    hosts = [
        pulumi.Output.all(
            id=row.host.instance.id,
            address=row.host.address,
            private_address=row.host.private_address,
            zone=row.zone,
            expires_at=row.host.expires_at,
            volumes=pulumi.Output.all(*row.volumes),
        )
        for row in rows
    ]
    return pulumi.Output.all(
        vpc_id=vpc_id,
        hosts=pulumi.Output.all(*hosts),
        file_system=file_system,
        elastic_ips=pulumi.Output.all(*elastic_ips),
        bucket=bucket,
    ).apply(build)


def _cost(known: prices.Cost) -> Cost | None:
    if known.usd_per_hour is None:
        return None
    # A hundredth of a cent: what is beyond is of a binary fraction.
    return Cost(round(known.usd_per_hour, 4), PRICES_AS_OF, known.besides)
