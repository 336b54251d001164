"""What may reach a network file system: its clients, by NFS."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.tags import Tags, child_options

NFS_PORT = 2049  # RFC 8881, section 2.9.3; NFSv4.1 needs no other


class MountTargetGroupArgs(TypedDict):
    """`members_group_id` is the security group of the hosts that mount."""

    vpc_id: pulumi.Input[str]
    members_group_id: pulumi.Input[str]
    tags: Tags


class MountTargetGroup(pulumi.ComponentResource):
    """The security group of mount targets, and the members' way to it.

    In: NFS from members. Out: nothing. A mount target only answers, and answers need no rule. The members' own
    rules don't lead here, so this opens one port of theirs, to this group alone. Two groups that name each
    other can be made, and unmade, since each rule is a resource of its own.
    """

    group_id: pulumi.Output[str]
    rules: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MountTargetGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:security:MountTargetGroup", name, None, opts)
        tags, members = args["tags"], args["members_group_id"]
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description=f"Mount targets of {tags.project} {tags.stack}",
            vpc_id=args["vpc_id"],
            tags=tags.named(f"{name}-group"),
            opts=child_options(self),
        )
        self.group_id = group.id
        self.rules = (
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-in-nfs",
                security_group_id=group.id,
                ip_protocol="tcp",
                from_port=NFS_PORT,
                to_port=NFS_PORT,
                referenced_security_group_id=members,
                description="NFS from members",
                tags=tags.named(f"{name}-in-nfs"),
                opts=child_options(self),
            ),
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-members-out-nfs",
                security_group_id=members,
                ip_protocol="tcp",
                from_port=NFS_PORT,
                to_port=NFS_PORT,
                referenced_security_group_id=group.id,
                description="NFS to mount targets",
                tags=tags.named(f"{name}-members-out-nfs"),
                opts=child_options(self),
            ),
        )
        self.register_outputs({"group_id": self.group_id})
