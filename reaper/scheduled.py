"""The scheduled reaper: what AWS Lambda calls every hour. It deletes what has expired in its region, and asks nobody.

It never deletes what is protected, nor scheduled reapers. Its log has a line for each resource. It reports the hours
that are left of its own life as a metric; an alarm goes off when they run out, or when the metric stays away.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from reaper.find import ClientOf, find_all, made_once
from reaper.plan import Resource, Selection, Status, make_plan
from reaper.policy import METRIC_NAMESPACE, STACK_PREFIX
from reaper.reap import Reaping
from reaper.tags import read_owner

HOURS_METRIC = "HoursUntilExpiry"
LEFT_METRIC = "Left"
RESERVE_SECONDS = 30.0
"""Before its time is over the function ends by itself; the next call goes on."""


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
