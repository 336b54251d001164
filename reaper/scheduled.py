"""The scheduled reaper: what AWS Lambda calls every hour. It deletes what has expired in its region, and asks nobody.

It never deletes what is protected, nor scheduled reapers. Its log has a line for each resource. It reports the hours
that are left of its own life as a metric; an alarm goes off when they run out, or when the metric stays away.

The permissions of its role come from the table of kinds. Whatever has a tag in AWS's conditions may be deleted only
with this project's tag, and only in one region. The code checks all tags again; this is what holds if the code is
wrong.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from reaper.find import ClientOf, find_all, made_once
from reaper.kinds import KINDS
from reaper.plan import Resource, Selection, Status, make_plan
from reaper.reap import Reaping
from reaper.services import PREFIX
from reaper.tags import PROJECT, PROJECT_KEY, read_owner

STACK_PREFIX = "reaper."
"""Stacks of scheduled reapers are named so. A scheduled reaper deletes none of them, its own least of all."""

METRIC_NAMESPACE = f"{PROJECT}/reaper"
HOURS_METRIC = "HoursUntilExpiry"
LEFT_METRIC = "Left"
RESERVE_SECONDS = 30.0
"""Before its time is over the function ends by itself; the next call goes on."""

OWN_KINDS = frozenset({"scheduled-rule", "function", "alarm", "log-group"})
_READS = (
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


def handler(event: object, context: Any) -> dict[str, int]:
    """Runs once. Returns how many resources it deleted, and how many are left or could not be asked for."""
    region = os.environ["AWS_REGION"]
    client_of = made_once(_client)
    now = datetime.now(UTC)
    selection = Selection(now, spared_prefix=STACK_PREFIX)
    found = find_all([region], client_of, with_reapers=False)
    plan = make_plan(found.resources, selection)
    deleted: list[Resource] = []

    def report(resource: Resource) -> None:
        deleted.append(resource)
        print(f"deleted {resource.stack} {resource.words}")

    reaping = Reaping(plan, selection, client_of, report)
    timer = threading.Timer(max(0.0, context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS), reaping.stop.set)
    timer.daemon = True
    timer.start()
    try:
        left = reaping.run()
    finally:
        timer.cancel()
    for each in left:
        print(f"left {each.resource.stack} {each.resource.words}: {each.reason}")
    for kept in plan.kept:
        if kept.status != Status.NOT_SELECTED:
            print(f"{kept.status.name.lower()} {kept.resource.stack} {kept.resource.words}: {kept.reason}")
    for what, why in found.unasked.items():
        print(f"not asked {what}: {why}")
    outcome = {
        "deleted": len(deleted),
        "left": len(left) + len(plan.with_status(Status.LEFT)) + len(found.unasked),
    }
    _put_metrics(region, client_of, context.invoked_function_arn, outcome["left"], now)
    return outcome


def _client(region: str, service: str) -> Any:
    name: Any = service  # the stubs know literals
    config = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"})
    return boto3.client(name, region_name=region, config=config)


def _put_metrics(region: str, client_of: ClientOf, arn: str, left: int, now: datetime) -> None:
    owner = read_owner(client_of(region, "lambda").list_tags(Resource=arn)["Tags"])
    if isinstance(owner, str):
        print(f"no metric of this function's own expiry, since {owner}")
        return
    values = {HOURS_METRIC: (owner.expires_at - now).total_seconds() / 3600, LEFT_METRIC: float(left)}
    client_of(region, "cloudwatch").put_metric_data(
        Namespace=METRIC_NAMESPACE,
        MetricData=[
            {"MetricName": name, "Value": value, "Dimensions": [{"Name": "Stack", "Value": owner.stack}]}
            for name, value in values.items()
        ],
    )


def role_policy(region: str, function: str) -> str:
    """Returns the policy of the role of the function of that name, as JSON."""
    tagged = {"StringEquals": {f"aws:ResourceTag/{PROJECT_KEY}": PROJECT}}
    statements: list[dict[str, Any]] = [
        _allow(_READS, "*"),
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
