"""What the hosts of every experiment stand on: a network, their security group, the key pair that logs in to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from aws_offers import InstanceType
from components.config import CommonConfig
from components.host import HostArgs
from components.network import VPC_CIDR, Network
from components.security_group import Members
from components.tags import Tags, child_options, expiry
from components.user_data import first_boot_script


@dataclass(frozen=True)
class Site:
    """The parts, each a child of the experiment's component. `tags` are what everything else of the stack carries."""

    common: CommonConfig
    image_id: str
    tags: Tags
    network: Network
    members: Members
    key_pair: aws.ec2.KeyPair

    def host_args(
        self,
        instance_type: InstanceType,
        *,
        cpu_limit: int | None,
        memory_limit_mib: int | None,
        subnet_id: pulumi.Input[str],
        placement_group: pulumi.Input[str] | None = None,
        instance_profile: pulumi.Input[str] | None = None,
        uplink_mbit_per_s: int | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> HostArgs:
        """A host of that type in one of the network's subnets, limited as components/host.py has it. It boots after the
        ways out of the network and the members' rules, and after `after`.
        """
        return {
            "instance_type": instance_type.name,
            "image_id": self.image_id,
            "subnet_id": subnet_id,
            "security_group_id": self.members.group_id,
            "placement_group": placement_group,
            "key_name": self.key_pair.key_name,
            "user_data": first_boot_script(
                lifetime_hours=self.common.lifetime_hours, memory_limit_mib=memory_limit_mib
            ),
            "cpu_options": instance_type.cpu_options(cpu_limit),
            "memory_limit_mib": memory_limit_mib,
            "instance_profile": instance_profile,
            "uplink_mbit_per_s": uplink_mbit_per_s,
            "after": [*self.network.ways_out, *self.members.rules, *after],
            "tags": self.tags,
        }


def declare_site(
    name: str,
    parent: pulumi.Resource,
    common: CommonConfig,
    *,
    image_id: str,
    zones: Sequence[str],
    ports: Mapping[str, int],
) -> Site:
    """Declare it below the experiment `parent`, with names that begin with `name`. `ports` are what members open to
    each other (components/security_group.py).
    """
    tags = Tags(common.project, common.stack, common.experiment, expiry(common.lifetime_hours))
    below = pulumi.ResourceOptions(parent=parent)
    network = Network(f"{name}-network", {"zones": zones, "zone_is_chosen": common.zone is None, "tags": tags}, below)
    members = Members(
        f"{name}-members",
        {
            "vpc_id": network.vpc_id,
            "vpc_cidr": VPC_CIDR,
            "ssh_cidr": common.ssh_cidr,
            "ports": ports,
            "tags": tags,
        },
        below,
    )
    key_pair = aws.ec2.KeyPair(
        f"{name}-key-pair",
        public_key=common.ssh_public_key.text,
        tags=tags.named(f"{name}-key-pair"),
        opts=child_options(parent),
    )
    return Site(common, image_id, tags, network, members, key_pair)
