"""What every experiment declares: its name, its check, and a component with the network, key pair and inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pulumi
import pulumi_aws as aws

from components.config import CommonConfig
from components.host import HostArgs, first_boot_script
from components.inventory_output import HostEntry, inventory_output
from components.network import VPC_CIDR, Network
from components.security_group import HostSecurityGroup
from components.settings import Settings
from components.stack_validation import ValidatedStack
from components.tags import Tags, child_options, expiry
from inventory import Bucket, ElasticIp, FileSystem

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
        hosts: Sequence[HostEntry],
        outputs: Mapping[str, pulumi.Input[object]],
        *,
        file_system: pulumi.Output[FileSystem] | None = None,
        elastic_ips: Sequence[pulumi.Output[ElasticIp]] = (),
        bucket: pulumi.Output[Bucket] | None = None,
    ) -> None:
        """Sets the stack's outputs: the inventory, `outputs`, the expiry and the cost."""
        stack = self.validated
        self.inventory = inventory_output(
            stack,
            hosts,
            vpc_id=self.network.vpc_id,
            file_system=file_system,
            elastic_ips=elastic_ips,
            bucket=bucket,
        )
        expiries: Any = pulumi.Output.all(*(entry.host.expires_at for entry in hosts))
        self.stack_outputs = {
            "inventory": self.inventory,
            **outputs,
            "expires_at": expiries.apply(min),
            "usd_per_hour": stack.cost.text,
        }
        self.register_outputs({"inventory": self.inventory})
