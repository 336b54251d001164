"""What every experiment declares: its name, its check, and a component with the network, key pair and inventory.

The inventory is a stack output: the document about the hosts that the tasks read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pulumi
import pulumi_aws as aws

from aws_offers import PRICES_AS_OF
from components.config import CommonConfig
from components.host import Host, HostArgs, first_boot_script
from components.image import LOGIN_USER
from components.network import MTU, VPC_CIDR, Network
from components.security_group import SSH_PORT, HostSecurityGroup
from components.settings import Settings
from components.stack_validation import ValidatedStack
from components.tags import Tags, child_options, expiry
from inventory import Bucket, Cost, ElasticIp, FileSystem, Inventory, Ssh, Volume
from inventory import Host as InventoryHost
from inventory import Network as InventoryNetwork

Config = TypeVar("Config")


@dataclass(frozen=True)
class Experiment(Generic[Config]):
    """An experiment as its module exports it (components/experiments/).

    `check` reads and validates the stack: it raises ValidationError with every error, and creates nothing. `component`
    is the component of the name and the valid stack.
    """

    name: str
    check: Callable[[Settings, CommonConfig], ValidatedStack[Config]]
    component: Callable[[str, ValidatedStack[Config]], ExperimentComponent[Config]]


@dataclass(frozen=True)
class HostEntry:
    """A host in the inventory, with what is known before it exists."""

    name: str
    role: str
    type: str
    host: Host
    zone: pulumi.Input[str]
    volumes: Sequence[pulumi.Output[Volume]] = ()


class ExperimentComponent(pulumi.ComponentResource, Generic[Config]):
    """The base of each experiment's component: network, security group and key pair, and afterwards the inventory.

    `name` is the experiment's; the names of the shared resources begin with it. `ports` are what hosts open to each
    other (components/security_group.py). A subclass creates its hosts below `self.children`, then calls `export`.
    """

    inventory: pulumi.Output[str]
    stack_outputs: Mapping[str, pulumi.Input[object]]

    def __init__(
        self,
        type_token: str,
        name: str,
        stack: ValidatedStack[Config],
        opts: pulumi.ResourceOptions | None = None,
        *,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(type_token, name, None, opts)
        common = stack.common
        self.validated = stack
        self.children = pulumi.ResourceOptions(parent=self)
        self.tags = Tags(common.project, common.stack, common.experiment, expiry(common.lifetime_hours))
        self.network = Network(
            f"{name}-network",
            {"zones": stack.zones, "zone_is_chosen": common.zone is None, "tags": self.tags},
            self.children,
        )
        self.security_group = HostSecurityGroup(
            f"{name}-members",
            {
                "vpc_id": self.network.vpc_id,
                "vpc_cidr": VPC_CIDR,
                "ssh_cidr": common.ssh_cidr,
                "ports": ports or {},
                "tags": self.tags,
            },
            self.children,
        )
        self._key_pair = aws.ec2.KeyPair(
            f"{name}-key-pair",
            public_key=common.ssh_public_key.text,
            tags=self.tags.named(f"{name}-key-pair"),
            opts=child_options(self),
        )

    def host_args(
        self,
        instance_type: str,
        *,
        subnet_id: pulumi.Input[str] | None = None,
        placement_group: pulumi.Input[str] | None = None,
        instance_profile: pulumi.Input[str] | None = None,
        uplink_mbit_per_s: int | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> HostArgs:
        """Returns the arguments of a host with the stack's limits, in the first subnet unless `subnet_id` is another.
        It also depends on the default routes and the security group's rules.
        """
        stack = self.validated
        return {
            "instance_type": instance_type,
            "image_id": stack.image_id,
            "subnet_id": self.network.subnet_id if subnet_id is None else subnet_id,
            "security_group_id": self.security_group.group_id,
            "placement_group": placement_group,
            "key_name": self._key_pair.key_name,
            "user_data": first_boot_script(
                lifetime_hours=stack.common.lifetime_hours, memory_limit_mib=stack.limits.memory_mib
            ),
            "cpu_options": stack.types[instance_type].cpu_options(stack.limits.cpus),
            "memory_limit_mib": stack.limits.memory_mib,
            "instance_profile": instance_profile,
            "uplink_mbit_per_s": uplink_mbit_per_s,
            "depends_on": [*self.network.default_routes, *self.security_group.rules, *depends_on],
            "tags": self.tags,
        }

    def export(
        self,
        entries: Sequence[HostEntry],
        outputs: Mapping[str, pulumi.Input[object]],
        *,
        file_system: pulumi.Output[FileSystem] | None = None,
        elastic_ips: Sequence[pulumi.Output[ElasticIp]] = (),
        bucket: pulumi.Output[Bucket] | None = None,
    ) -> None:
        """Sets the stack's outputs: the inventory, `outputs`, the expiry and the cost."""
        stack = self.validated
        hosts = [
            pulumi.Output.all(
                id=entry.host.instance.id,
                address=entry.host.address,
                private_address=entry.host.private_address,
                zone=entry.zone,
                volumes=pulumi.Output.all(*entry.volumes),
            )
            for entry in entries
        ]
        # The experiment ends with the first host that ends.
        expiries: Any = pulumi.Output.all(*(entry.host.expires_at for entry in entries))
        expires_at = expiries.apply(min)
        self.inventory = pulumi.Output.all(
            vpc_id=self.network.vpc_id,
            hosts=pulumi.Output.all(*hosts),
            expires_at=expires_at,
            file_system=file_system,
            elastic_ips=pulumi.Output.all(*elastic_ips),
            bucket=bucket,
        ).apply(lambda known: _inventory_text(stack, entries, known))
        self.stack_outputs = {
            "inventory": self.inventory,
            **outputs,
            "expires_at": expires_at,
            "usd_per_hour": stack.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})


def _inventory_text(stack: ValidatedStack[Any], entries: Sequence[HostEntry], known: Mapping[str, Any]) -> str:
    """Returns the document as text: a structured output would turn whole numbers into floats.

    The text is read back once, so that a deployment never exports an inventory that its own reader rejects.
    """
    common, limits, usd_per_hour = stack.common, stack.limits, stack.cost.usd_per_hour
    text = Inventory(
        project=common.project,
        stack=common.stack,
        experiment=common.experiment,
        region=common.aws.region,
        rehearsal=common.aws.rehearsal,
        expires_at=known["expires_at"],
        ssh=Ssh(LOGIN_USER, common.ssh_public_key.identity_file, common.ssh_proxy_command),
        network=InventoryNetwork(MTU, VPC_CIDR, known["vpc_id"]),
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
        # Rounded to a hundredth of a cent, to drop the rest of the binary fraction.
        cost=None if usd_per_hour is None else Cost(round(usd_per_hour, 4), PRICES_AS_OF, stack.cost.usage_prices),
    ).to_json()
    Inventory.from_json(text, f"the inventory of {common.stack}")
    return text
