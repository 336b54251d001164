"""Lists what an account still holds of this project, in every region: `fab account.check`.

Everything that the project creates has the tags project, stack and expires-at. EC2 is asked itself, since its answer is
current; the other services through the tagging API, which may lag behind by a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3

from reaper import find
from reaper.plan import GLOBAL
from reaper.services import find_in_iam, find_tagged
from reaper.tags import EXPIRES_AT_KEY, PROJECT, PROJECT_KEY, STACK_KEY, is_ours, parse_expiry
from workloads.aws import client_arguments, ec2_client, one_line
from workloads.console import Console, duration_words
from workloads.errors import WorkloadError

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_resourcegroupstaggingapi.client import ResourceGroupsTaggingAPIClient

TAG_KEYS = (PROJECT_KEY, STACK_KEY, EXPIRES_AT_KEY)
PARALLEL = 8


@dataclass(frozen=True)
class Leftover:
    """A resource of this project that still exists."""

    region: str
    stack: str
    kind: str
    id: str
    expires_at: str | None

    def words(self, now: datetime) -> str:
        """Describes it, for a person."""
        return f"{self.region:<15} {self.stack or 'no stack':<26} {self.kind:<18} {self.id}{self._expiry(now)}"

    def _expiry(self, now: datetime) -> str:
        if self.expires_at is None:
            return "  with no expiry"
        at = parse_expiry(self.expires_at)
        if at is None:
            return f"  with an expiry that the reaper can't read: {self.expires_at!r}"
        seconds = (at - now).total_seconds()
        return f"  expires in {duration_words(seconds)}" if seconds > 0 else f"  EXPIRED {duration_words(-seconds)} ago"


def check(region: str | None) -> None:
    """`fab account.check`: lists what is left in one region, or in all enabled ones.

    Raises WorkloadError when something is left, or a region could not be asked.
    """
    console = Console()
    check_region_name(region)
    regions = [region] if region else enabled_regions()
    with console.under_way("account", f"asking {len(regions)} regions"):
        found, unasked = look(regions)
        if region is None:
            try:
                found += in_iam()
            except WorkloadError as error:
                unasked["IAM"] = error.what
    now = datetime.now(UTC)
    for each in found:
        console.say("left", each.words(now))
    for name, why in unasked.items():
        console.say("not asked", f"{name}: {why}")
    answered = [each for each in regions if each not in unasked]
    where = f"in {region}" if region else f"in the {len(answered)} regions that answered"
    if found:
        stacks = ", ".join(sorted({each.stack for each in found if each.stack})) or "stacks that their tags don't name"
        raise WorkloadError(
            f"{len(found)} of {PROJECT}'s resources still there {where}: {stacks}",
            "end what you don't use: pulumi destroy, or fab account.reap",
        )
    if not answered:
        raise WorkloadError(f"{' and '.join(unasked)} could not be asked what is left", "see the reason above")
    if unasked:
        raise WorkloadError(f"nothing is left {where}; not asked: {', '.join(unasked)}", "see the reason above")
    console.say("account", f"nothing of {PROJECT} is left {where}")


def check_region_name(region: str | None) -> None:
    """Raises WorkloadError for what is no region's name; None stands for all regions."""
    if region is not None and not find.REGION_NAME.fullmatch(region):
        raise WorkloadError(f"--region {region!r} is not the name of a region", "name one, such as eu-central-1")


def enabled_regions() -> list[str]:
    """Returns the regions that the account may use."""
    with one_line("the list of regions"):
        return find.enabled_regions(lambda region, _: ec2_client(region))


def look(regions: Sequence[str]) -> tuple[list[Leftover], dict[str, str]]:
    """Asks regions in parallel; returns what is left there, and why regions could not be asked."""
    found: list[Leftover] = []
    unasked: dict[str, str] = {}
    # Clients are made one after the other: boto3's default session is not thread-safe.
    clients = [(region, ec2_client(region), tagging_client(region)) for region in regions]

    def one(asked: tuple[str, EC2Client, ResourceGroupsTaggingAPIClient]) -> None:
        region, ec2, tagging = asked
        try:
            found.extend([*in_ec2(region, ec2), *in_other_services(region, tagging)])
        except WorkloadError as error:
            unasked[region] = error.what

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(one, clients))
    return sorted(found, key=lambda each: (each.region, each.stack, each.kind, each.id)), dict(sorted(unasked.items()))


def tagging_client(region: str) -> ResourceGroupsTaggingAPIClient:
    """Returns a client of the Resource Groups Tagging API."""
    with one_line("the tagging API", "the tagging API"):
        return boto3.client("resourcegroupstaggingapi", **client_arguments("RESOURCE_GROUPS_TAGGING_API", region))


def in_ec2(region: str, client: EC2Client) -> list[Leftover]:
    """Returns EC2's resources, but not terminated instances, whose tags stay for a while."""
    tags: dict[tuple[str, str], dict[str, str]] = {}
    with one_line(f"what is left in {region}"):
        pages = client.get_paginator("describe_tags").paginate(Filters=[{"Name": "key", "Values": [*TAG_KEYS]}])
        for page in pages:
            for tag in page["Tags"]:
                of = tags.setdefault((tag["ResourceType"], tag["ResourceId"]), {})
                of[tag["Key"]] = tag["Value"]
        terminated = {
            instance["InstanceId"]
            for page in client.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-state-name", "Values": ["terminated"]}]
            )
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }
    return [
        _leftover(region, kind.replace("-", " "), name, of)
        for (kind, name), of in tags.items()
        if is_ours(of) and name not in terminated
    ]


def in_other_services(region: str, client: ResourceGroupsTaggingAPIClient) -> list[Leftover]:
    """Returns the resources of all other services that have the project's tags."""
    with one_line(f"what is left in {region}", "the tagging API"):
        tagged = [each for each in find_tagged(client, region) if each.kind != "iam"]
    found = []
    for each in tagged:
        kind, slash, id = each.id.partition("/")
        found.append(_leftover(region, kind if slash else each.kind, id if slash else each.id, each.tags))
    return found


def in_iam() -> list[Leftover]:
    """Returns roles and instance profiles, which belong to no region. The tagging API does not know roles."""
    with one_line("what is left in IAM", "IAM"):
        client = boto3.client("iam", **client_arguments("IAM", find.HOME_REGION))
        return [_leftover(GLOBAL, each.kind, each.id, each.tags) for each in find_in_iam(client) if is_ours(each.tags)]


def _leftover(region: str, kind: str, id: str, tags: Mapping[str, str]) -> Leftover:
    return Leftover(region, tags.get(STACK_KEY, ""), kind, id, tags.get(EXPIRES_AT_KEY))
