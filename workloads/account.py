"""What an account holds of this project, in every region: `fab account.check` lists it, `fab account.cost` adds what it
costs.

Everything that the project creates has the tags project, stack and expires-at. The reaper's room asks EC2, EFS, S3 and
IAM themselves, since their answers are current; other services through the tagging API, which may lag behind by a
minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_offers import FREE_IOPS, HOURS_PER_MONTH, PRICES_AS_OF, PUBLIC_IPV4_USD_PER_HOUR, VOLUME_TYPES, price_usd
from reaper.find import REGION_NAME, ClientOf, Found, enabled_regions, find_all, made_once
from reaper.plan import GLOBAL, NETWORK_KINDS, Resource
from reaper.tags import EXPIRES_AT_KEY, PROJECT, is_ours, parse_expiry
from workloads.aws import aws_client, one_line
from workloads.console import Console, duration_words
from workloads.errors import WorkloadError

_GIB = 2**30
FREE_KINDS = NETWORK_KINDS | {"key-pair", "placement-group", "instance-profile", "role"}


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


@dataclass(frozen=True)
class Line:
    """What one resource costs. None is unknown, never zero: the table lacks the price, or AWS does not say since when.

    `what` describes it, with what is billed by usage on top.
    """

    resource: Resource
    what: str
    usd_per_hour: float | None
    usd_so_far: float | None


def cost(region: str | None, clients: ClientOf | None = None) -> None:
    """`fab account.cost`: shows what is running, in dollars an hour and since its creation, and the sums.

    Raises WorkloadError if a region could not be asked.
    """
    console = Console()
    _, found = look(console, region, clients)
    lines = cost_lines(found.resources, datetime.now(UTC))
    for line in lines:
        hourly = "unknown" if line.usd_per_hour is None else f"{line.usd_per_hour:.4f}"
        so_far = "unknown" if line.usd_so_far is None else f"{line.usd_so_far:.2f}"
        place = f"{line.resource.stack or 'no stack':<26} {line.resource.region:<15} {line.resource.words}"
        console.say("running", f"{hourly:>9} $/h {so_far:>9} $  {place}, {line.what}")
    usd_per_hour = sum(line.usd_per_hour or 0 for line in lines)
    usd_so_far = sum(line.usd_so_far or 0 for line in lines)
    unknown = sum(line.usd_per_hour is None for line in lines)
    console.say(
        "cost",
        f"${usd_per_hour:.2f} an hour, ${usd_so_far:.2f} so far (prices of {PRICES_AS_OF}, without traffic and tax)"
        + (f"; {unknown} prices are unknown" if unknown else ""),
    )
    say_unasked(console, found)
    if found.unasked:
        raise WorkloadError(f"not asked: {', '.join(sorted(found.unasked))}", "see the reasons above")


def cost_lines(found: Iterable[Resource], now: datetime) -> list[Line]:
    """Returns a line for each resource of this project that AWS may bill, sorted by stack."""
    lines = []
    for each in found:
        if each.kind in FREE_KINDS or not (is_ours(each.tags) or each.part_of is not None):
            continue
        what, hourly = _describe(each)
        so_far = None
        if hourly is not None and each.created_at is not None:
            so_far = hourly * max(0.0, (now - each.created_at).total_seconds() / 3600)
        lines.append(Line(each, what, hourly, so_far))
    return sorted(lines, key=lambda line: (line.resource.stack, line.resource.region, line.resource.ref))


def _describe(resource: Resource) -> tuple[str, float | None]:
    facts, region = resource.facts, resource.region
    if resource.kind == "instance":
        if facts["state"] not in ("pending", "running"):
            return f"{facts['type']}, {facts['state']}", 0.0
        hourly = price_usd(region, "instance_hour", facts["type"])
        address = PUBLIC_IPV4_USD_PER_HOUR if facts["public_address"] else 0.0
        words = f"{facts['type']}, {facts['state']}{', with a public address' if address else ''}"
        return words, None if hourly is None else hourly + address
    if resource.kind == "volume":
        kind = facts["type"]
        parts = [(facts["gib"], price_usd(region, "volume_gib_month", kind))]
        provisioned = kind in VOLUME_TYPES and VOLUME_TYPES[kind].iops is not None
        if provisioned and (billed_iops := (facts["iops"] or 0) - FREE_IOPS.get(kind, 0)) > 0:
            parts.append((billed_iops, price_usd(region, "volume_iops_month", kind)))
        return f"{kind}, {facts['gib']} GiB", _usd_per_hour(parts)
    if resource.kind == "elastic-ip":
        # While a running instance has it, it is that instance's public address, and counted there.
        return facts["address"], 0.0 if facts["in_use"] else PUBLIC_IPV4_USD_PER_HOUR
    if resource.kind == "file-system":
        gib = facts["bytes"] / _GIB
        parts = [(gib, price_usd(region, "efs_gib_month", "one-zone" if facts["one_zone"] else "regional"))]
        if mib_per_s := facts["provisioned_mib_per_s"]:
            parts.append((mib_per_s, price_usd(region, "efs_throughput", "provisioned_mib_per_s_month")))
        return f"{gib:.1f} GiB, {facts['throughput_mode']} throughput", _usd_per_hour(parts)
    return "billed by usage", None


def _usd_per_hour(monthly: Iterable[tuple[float, float | None]]) -> float | None:
    """Returns what amounts cost in an hour at their prices for a month; None if a price is unknown."""
    total = 0.0
    for amount, price in monthly:
        if price is None:
            return None
        total += amount * price
    return total / HOURS_PER_MONTH
