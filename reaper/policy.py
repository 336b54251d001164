"""What the scheduled reaper may do: the permissions of its role, from the table of kinds.

Whatever has a tag in AWS's conditions may be deleted only with this project's tag, and only in one region. The code
checks all tags again; this is what holds if the code is wrong.
"""

from __future__ import annotations

import json
from typing import Any

from reaper.kinds import KINDS
from reaper.services import PREFIX
from reaper.tags import PROJECT, PROJECT_KEY

METRIC_NAMESPACE = f"{PROJECT}/reaper"
STACK_PREFIX = "reaper."
"""Stacks of scheduled reapers are named so. A scheduled reaper deletes none of them, its own least of all."""

OWN_KINDS = frozenset({"scheduled-rule", "function", "alarm", "log-group"})
READS = (
    "ec2:DescribeAddresses",
    "ec2:DescribeIamInstanceProfileAssociations",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "elasticfilesystem:DescribeFileSystems",
    "elasticfilesystem:DescribeMountTargetSecurityGroups",
    "elasticfilesystem:DescribeMountTargets",
    "iam:ListInstanceProfiles",
    "iam:ListRoles",
    "s3:ListAllMyBuckets",
    "tag:GetResources",
)
_READS_OF_BUCKETS = (
    "s3:GetBucketLocation",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
)
_READS_OF_ROLES = (
    "iam:GetInstanceProfile",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListRoleTags",
)


def role_policy(region: str, function: str) -> str:
    """Returns the policy of the role of the function of that name, as JSON."""
    tagged = {"StringEquals": {f"aws:ResourceTag/{PROJECT_KEY}": PROJECT}}
    statements: list[dict[str, Any]] = [
        _allow(READS, "*"),
        _allow(_READS_OF_BUCKETS, f"arn:aws:s3:::{PREFIX}*"),
        _allow(_READS_OF_ROLES, [f"arn:aws:iam::*:role/{PREFIX}*", "arn:aws:iam::*:instance-profile/*"]),
    ]
    for name, kind in KINDS.items():
        if name in OWN_KINDS:
            continue
        if kind.service == "s3":
            # S3's conditions know the tags of buckets only where a bucket has them switched on.
            statements.append(_allow(kind.deletes, [f"arn:aws:s3:::{PREFIX}*", f"arn:aws:s3:::{PREFIX}*/*"]))
        elif kind.service == "iam":
            statements.append(_allow(kind.deletes, f"arn:aws:iam::*:{kind.arn}{PREFIX}*", tagged))
        else:
            service = kind.deletes[0].partition(":")[0]
            statements.append(_allow(kind.deletes, f"arn:aws:{service}:{region}:*:{kind.arn}", tagged))
    statements += [
        # EFS deletes the network interface of a mount target on behalf of its caller.
        _allow(("ec2:DeleteNetworkInterface",), "*", {"Bool": {"aws:ViaAWSService": "true"}}),
        _allow(("cloudwatch:PutMetricData",), "*", {"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}}),
        _allow(("lambda:ListTags",), f"arn:aws:lambda:{region}:*:function:{function}"),
        _allow(
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            f"arn:aws:logs:{region}:*:log-group:/aws/lambda/{function}:*",
        ),
        {"Effect": "Deny", "Action": "iam:Delete*", "Resource": f"arn:aws:iam::*:role/{function}-*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(actions: tuple[str, ...], resource: Any, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement if condition is None else {**statement, "Condition": condition}
