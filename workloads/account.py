"""Lists what an account still holds of this project, in every region: `fab account.check`.

Everything that the project creates has the tags project, stack and expires-at. The reaper's room asks EC2, EFS, S3 and
IAM themselves, since their answers are current; other services through the tagging API, which may lag behind by a
minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from reaper.find import REGION_NAME, ClientOf, Found, enabled_regions, find_all, made_once
from reaper.plan import GLOBAL, Resource
from reaper.tags import EXPIRES_AT_KEY, PROJECT, is_ours, parse_expiry
from workloads.aws import aws_client, one_line
from workloads.console import Console, duration_words
from workloads.errors import WorkloadError


def check(region: str | None, clients: ClientOf | None = None) -> None:
    """`fab account.check`: lists what is left in one region, or in all enabled ones and IAM.

    Raises WorkloadError when something is left, or a region could not be asked.
    """
    console = Console()
    regions, found = look(console, region, clients)
    left = left_in(found, region)
    now = datetime.now(UTC)
    for each in left:
        console.say("left", f"{where(each)}{expiry_words(each.tags.get(EXPIRES_AT_KEY), now)}")
    say_unasked(console, found)
    answered = {*regions} - {what.partition(" ")[0] for what in found.unasked}
    place = f"in {region}" if region else f"in the {len(answered)} regions that answered"
    if left:
        stacks = ", ".join(sorted({each.stack for each in left if each.stack})) or "stacks that their tags don't name"
        raise WorkloadError(
            f"{len(left)} of {PROJECT}'s resources still there {place}: {stacks}",
            "end what you don't use: pulumi destroy, or fab account.reap",
        )
    unasked = ", ".join(sorted(found.unasked))
    if not answered:
        raise WorkloadError(f"{unasked} could not be asked what is left", "see the reason above")
    if unasked:
        raise WorkloadError(f"nothing is left {place}; not asked: {unasked}", "see the reason above")
    console.say("account", f"nothing of {PROJECT} is left {place}")


def look(console: Console, region: str | None, clients: ClientOf | None = None) -> tuple[Sequence[str], Found]:
    """Asks one region, or all that the account may use; returns which, and what is there.

    Raises WorkloadError for what is no region.
    """
    client_of = clients or made_once(aws_client)
    regions = regions_to_ask(region, client_of)
    with console.under_way("account", f"asking {len(regions)} regions"):
        return regions, find_all(regions, client_of)


def regions_to_ask(region: str | None, client_of: ClientOf) -> list[str]:
    """Returns the one region, or all that the account may use. Raises WorkloadError for what is no region."""
    if region is None:
        with one_line("the list of regions"):
            return enabled_regions(client_of)
    if not REGION_NAME.fullmatch(region):
        raise WorkloadError(f"--region {region!r} is not the name of a region", "name one, such as eu-central-1")
    return [region]


def left_in(found: Found, region: str | None) -> list[Resource]:
    """Returns what is this project's, sorted; roles and instance profiles belong to no region, and are left out of what
    is in one.
    """
    ours = [each for each in found.resources if is_ours(each.tags) and (region is None or each.region != GLOBAL)]
    return sorted(ours, key=lambda each: (each.region, each.stack, each.ref))


def where(resource: Resource) -> str:
    """Describes where a resource is, whose, and which it is."""
    return f"{resource.region:<15} {resource.stack or 'no stack':<26} {resource.words}"


def expiry_words(expires_at: str | None, now: datetime) -> str:
    """Describes the tag expires-at."""
    if expires_at is None:
        return "  with no expiry"
    at = parse_expiry(expires_at)
    if at is None:
        return f"  with an expiry that the reaper can't read: {expires_at!r}"
    seconds = (at - now).total_seconds()
    return f"  expires in {duration_words(seconds)}" if seconds > 0 else f"  EXPIRED {duration_words(-seconds)} ago"


def say_unasked(console: Console, found: Found) -> None:
    """Prints which services did not answer, and why."""
    for name, why in sorted(found.unasked.items()):
        console.say("not asked", f"{name}: {why}")
