"""A VPC with one public subnet in one availability zone."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.tags import Tags, child_options

MTU = 9001
"""Bytes. What every instance type of the current and previous generation takes inside a VPC (EC2 User Guide,
"Network maximum transmission unit (MTU)").
"""

VPC_CIDR = "10.20.0.0/16"
SUBNET_CIDR = "10.20.1.0/24"


class NetworkArgs(TypedDict):
    """`zone_is_chosen` is True when the person did not name the zone."""

    zone: str
    zone_is_chosen: bool
    tags: Tags


class Network(pulumi.ComponentResource):
    """VPC, subnet, internet gateway, route table with a default route, and their association.

    Jumbo frames need no setting of the VPC: the MTU inside it is 9001 bytes, and Debian's DHCP client takes
    that value from the VPC's DHCP answer. What limits it is the way out. Through an internet gateway the MTU
    is 1500: a larger packet is dropped with an ICMP "fragmentation needed" when it may not be fragmented. TCP
    to the internet is not hurt, since each peer announces a segment size that fits its own 1500. Traffic
    between members stays at 9001 only while it uses private addresses: to a member's public address it goes
    through the gateway, and is 1500 again.
    """

    vpc_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    zone: pulumi.Output[str]
    route: aws.ec2.Route

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:network:Network", name, {"zone": args["zone"]}, opts)
        tags = args["tags"]

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=VPC_CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=tags.named(f"{name}-vpc"),
            opts=child_options(self),
        )
        subnet = aws.ec2.Subnet(
            f"{name}-subnet",
            vpc_id=vpc.id,
            cidr_block=SUBNET_CIDR,
            availability_zone=args["zone"],
            tags=tags.named(f"{name}-subnet"),
            # A zone that was chosen is chosen once: were AWS to offer the type in one zone more tomorrow, the
            # next `pulumi up` would otherwise move, that is replace, every host.
            opts=child_options(self, ignore=["availabilityZone"] if args["zone_is_chosen"] else []),
        )
        gateway = aws.ec2.InternetGateway(
            f"{name}-gateway", vpc_id=vpc.id, tags=tags.named(f"{name}-gateway"), opts=child_options(self)
        )
        routes = aws.ec2.RouteTable(
            f"{name}-routes", vpc_id=vpc.id, tags=tags.named(f"{name}-routes"), opts=child_options(self)
        )
        self.route = aws.ec2.Route(
            f"{name}-default-route",
            route_table_id=routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.ec2.RouteTableAssociation(
            f"{name}-routes-of-subnet",
            route_table_id=routes.id,
            subnet_id=subnet.id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.vpc_id = vpc.id
        self.subnet_id = subnet.id
        self.zone = subnet.availability_zone
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_id": self.subnet_id, "zone": self.zone})
