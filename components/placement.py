"""Where hosts stand to each other."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.tags import Tags, child_options


def cluster_placement_group(name: str, tags: Tags, parent: pulumi.Resource) -> aws.ec2.PlacementGroup:
    """Hosts close together in one availability zone: the full rate between each two of them, 10 Gbit/s for
    c4.8xlarge.

    All its members share one zone, so all their types must be offered there (components/validation.py), and
    they should be launched together: a later one may find no room ("InsufficientInstanceCapacity").
    """
    return aws.ec2.PlacementGroup(name, strategy="cluster", tags=tags.named(name), opts=child_options(parent))
