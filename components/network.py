"""A VPC with a public subnet in each availability zone that is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.tags import Tags, child_options

MTU = 9001
"""Bytes. What every instance type of the current and previous generation takes inside a VPC (EC2 User Guide,
"Network maximum transmission unit (MTU)").
"""

VPC_CIDR = "10.20.0.0/16"


def subnet_cidr(number: int) -> str:
    """Returns the block of the subnet in the number-th zone, from 1."""
    return f"10.20.{number}.0/24"


def suffix(number: int) -> str:
    """Returns the end of the names of the number-th zone's resources; the first zone's have none."""
    return "" if number == 1 else f"-{number}"


class NetworkArgs(TypedDict):
    """`zones` are distinct, one at least. `zone_is_chosen` is False if the stack file names the first."""

    zones: Sequence[str]
    zone_is_chosen: bool
    tags: Tags


class Network(pulumi.ComponentResource):
    """VPC, internet gateway, route table with a default route, and a subnet in each zone.

    Jumbo frames need no setting: the MTU inside a VPC is 9001 bytes, and Debian's DHCP client takes it from the VPC's
    DHCP answer. Through an internet gateway the MTU is 1500: a larger packet that may not be fragmented is dropped with
    an ICMP "fragmentation needed". TCP to the internet works, since each peer announces a segment size that fits 1500.
    Traffic between hosts has 9001 only at private addresses; a host's public address leads through the gateway.
    """

    vpc_id: pulumi.Output[str]
    subnet_ids: tuple[pulumi.Output[str], ...]
    """By zone, in the order of `zones`."""
    zones: tuple[pulumi.Output[str], ...]
    subnet_id: pulumi.Output[str]
    """The first of `subnet_ids`, as `zone` is the first of `zones`: for hosts that share a zone."""
    zone: pulumi.Output[str]
    default_routes: tuple[pulumi.Resource, ...]
    """The default route and each subnet's association with it: without both no host reaches the internet."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:network:Network", name, {"zone": args["zones"][0]}, opts)
        tags = args["tags"]

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=VPC_CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=tags.named(f"{name}-vpc"),
            opts=child_options(self),
        )
        subnets = [self._subnet(name, number, zone, vpc, args) for number, zone in enumerate(args["zones"], start=1)]
        gateway = aws.ec2.InternetGateway(
            f"{name}-gateway", vpc_id=vpc.id, tags=tags.named(f"{name}-gateway"), opts=child_options(self)
        )
        routes = aws.ec2.RouteTable(
            f"{name}-routes", vpc_id=vpc.id, tags=tags.named(f"{name}-routes"), opts=child_options(self)
        )
        route = aws.ec2.Route(
            f"{name}-default-route",
            route_table_id=routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        associations = [
            aws.ec2.RouteTableAssociation(
                f"{name}-routes-of-subnet{suffix(number)}",
                route_table_id=routes.id,
                subnet_id=subnet.id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for number, subnet in enumerate(subnets, start=1)
        ]
        self.default_routes = (route, *associations)
        self.vpc_id = vpc.id
        self.subnet_ids = tuple(subnet.id for subnet in subnets)
        self.zones = tuple(subnet.availability_zone for subnet in subnets)
        self.subnet_id, self.zone = self.subnet_ids[0], self.zones[0]
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_id": self.subnet_id, "zone": self.zone})

    def _subnet(self, name: str, number: int, zone: str, vpc: aws.ec2.Vpc, args: NetworkArgs) -> aws.ec2.Subnet:
        full_name = f"{name}-subnet{suffix(number)}"
        return aws.ec2.Subnet(
            full_name,
            vpc_id=vpc.id,
            cidr_block=subnet_cidr(number),
            availability_zone=zone,
            # A host gets another public address each time it starts; a stopped host has none.
            map_public_ip_on_launch=True,
            tags=args["tags"].named(full_name),
            # A chosen zone stays: if AWS offered the type in another zone tomorrow, the next `pulumi up` would replace
            # every host.
            opts=child_options(
                self,
                ignore=["availabilityZone"] if number > 1 or args["zone_is_chosen"] else [],
                # The replacement in another zone has the same block (CreateSubnet: InvalidSubnet.Conflict).
                delete_before_replace=True,
            ),
        )
