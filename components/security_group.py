"""The security group of a stack's hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.tags import Tags, child_options

SSH_PORT = 22
ISCSI_PORT = 3260  # RFC 7143, section 15: the port of iSCSI portals
ANY_IPV4 = "0.0.0.0/0"
INGRESS, EGRESS = aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule


class HostSecurityGroupArgs(TypedDict):
    """`ssh_cidr` has been validated (components/config.py). `ports` are the TCP ports that the hosts open to each
    other, by the name of the protocol, which rule descriptions use.
    """

    vpc_id: pulumi.Input[str]
    vpc_cidr: str
    ssh_cidr: str
    ports: Mapping[str, int]
    tags: Tags


class HostSecurityGroup(pulumi.ComponentResource):
    """The security group of all hosts of a stack.

    In: SSH from one network, ICMP from other hosts of the group, and from those the experiment's ports. Out: to hosts
    of the group; HTTP and HTTPS to anywhere, for Debian packages; DNS inside the VPC. A security group is stateful, so
    answers need no rule. Each rule is a resource of its own, as AWS advises: rules inside the group and beside it
    overwrite each other.

    Its Pulumi type, its resources' names and its rules' descriptions say "members", as they always did: a new type or
    name would replace them.
    """

    group_id: pulumi.Output[str]
    rules: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: HostSecurityGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:security:Members", name, {"ssh_cidr": args["ssh_cidr"]}, opts)
        tags = args["tags"]
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description=f"Hosts of {tags.project} {tags.stack}",
            vpc_id=args["vpc_id"],
            tags=tags.named(f"{name}-group"),
            opts=child_options(self),
        )
        self.group_id = group.id
        vpc = args["vpc_cidr"]
        rule = partial(security_group_rule, self, name, tags, group.id)
        # EC2 takes no apostrophe in a description (AuthorizeSecurityGroupIngress, IpRange).
        self.rules = (
            rule(INGRESS, "in-ssh", "tcp", SSH_PORT, "SSH from tidemark:sshCidr", cidr=args["ssh_cidr"]),
            *(
                rule(INGRESS, f"in-{protocol.lower()}", "tcp", port, f"{protocol} between members")
                for protocol, port in args["ports"].items()
            ),
            # For ICMP the "port" is the type; -1 is every type. The proof of the MTU needs echo and its errors.
            rule(INGRESS, "in-icmp", "icmp", -1, "ICMP between members"),
            rule(EGRESS, "out-members", "-1", None, "Anything to members, whose own rules decide"),
            rule(EGRESS, "out-http", "tcp", 80, "Debian packages", cidr=ANY_IPV4),
            rule(EGRESS, "out-https", "tcp", 443, "Debian packages", cidr=ANY_IPV4),
            rule(EGRESS, "out-dns-udp", "udp", 53, "The resolver of the VPC", cidr=vpc),
            rule(EGRESS, "out-dns-tcp", "tcp", 53, "The resolver of the VPC", cidr=vpc),
        )
        self.register_outputs({"group_id": self.group_id})


def security_group_rule(
    parent: pulumi.Resource,
    prefix: str,
    tags: Tags,
    group_id: pulumi.Input[str],
    rule_type: Callable[..., pulumi.Resource],
    name: str,
    protocol: str,
    port: int | None,
    description: str,
    *,
    cidr: str | None = None,
    peer_id: pulumi.Input[str] | None = None,
) -> pulumi.Resource:
    """Makes a rule of a group for `cidr`, for another group (`peer_id`), or without both for the group's own hosts."""
    full_name = f"{prefix}-{name}"
    return rule_type(
        full_name,
        security_group_id=group_id,
        ip_protocol=protocol,
        from_port=port,
        to_port=port,
        cidr_ipv4=cidr,
        referenced_security_group_id=None if cidr else peer_id or group_id,
        description=description,
        tags=tags.named(full_name),
        opts=child_options(parent),
    )
