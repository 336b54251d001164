"""`fab account.cost`: what is running now by this project's tags, in dollars an hour and since its creation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_offers import FREE_IOPS, HOURS_PER_MONTH, PRICES_AS_OF, PUBLIC_IPV4_USD_PER_HOUR, VOLUME_TYPES, price_usd
from reaper.find import ClientOf
from reaper.plan import NETWORK_KINDS, Resource
from reaper.tags import is_ours
from workloads.account import look, say_unasked
from workloads.console import Console
from workloads.errors import WorkloadError

_GIB = 2**30
FREE_KINDS = NETWORK_KINDS | {"key-pair", "placement-group", "instance-profile", "role"}


@dataclass(frozen=True)
class Line:
    """What one resource costs. None is unknown, never zero: the table lacks the price, or AWS does not say since when.

    `what` describes it, with what is billed by usage on top.
    """

    resource: Resource
    what: str
    usd_per_hour: float | None
    usd_so_far: float | None

    @property
    def words(self) -> str:
        """The line for a person: dollars an hour, dollars so far, stack, region, resource, what it is."""
        hourly = "unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.4f}"
        so_far = "unknown" if self.usd_so_far is None else f"{self.usd_so_far:.2f}"
        resource = self.resource
        where = f"{resource.stack or 'no stack':<26} {resource.region:<15} {resource.words}"
        return f"{hourly:>9} $/h {so_far:>9} $  {where}, {self.what}"


def cost(region: str | None, clients: ClientOf | None = None) -> None:
    """Shows the lines, and the sums. Raises WorkloadError if a region could not be asked."""
    console = Console()
    _, found = look(console, region, clients)
    lines = cost_lines(found.resources, datetime.now(UTC))
    for line in lines:
        console.say("running", line.words)
    known = [line.usd_per_hour for line in lines if line.usd_per_hour is not None]
    so_far = [line.usd_so_far for line in lines if line.usd_so_far is not None]
    unknown = sum(line.usd_per_hour is None for line in lines)
    console.say(
        "cost",
        f"${sum(known):.2f} an hour, ${sum(so_far):.2f} so far (prices of {PRICES_AS_OF}, without traffic and tax)"
        + (f"; {unknown} prices are unknown" if unknown else ""),
    )
    say_unasked(console, found)
    if found.unasked:
        raise WorkloadError(f"not asked: {', '.join(sorted(found.unasked))}", "see the reasons above")


def cost_lines(found: Iterable[Resource], now: datetime) -> list[Line]:
    """Returns a line for each resource of this project that AWS may bill, sorted by stack."""
    lines = [
        _line(each, now)
        for each in found
        if each.kind not in FREE_KINDS and (is_ours(each.tags) or each.part_of is not None)
    ]
    return sorted(lines, key=lambda line: (line.resource.stack, line.resource.region, line.resource.ref))


def _line(resource: Resource, now: datetime) -> Line:
    what, hourly = _describe(resource)
    hours = None if resource.created_at is None else max(0.0, (now - resource.created_at).total_seconds() / 3600)
    return Line(resource, what, hourly, None if hours is None or hourly is None else hours * hourly)


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
        return f"{facts['type']}, {facts['gib']} GiB", _volume(region, facts["type"], facts["gib"], facts["iops"] or 0)
    if resource.kind == "elastic-ip":
        # While a running instance has it, it is that instance's public address, and counted there.
        return facts["address"], 0.0 if facts["in_use"] else PUBLIC_IPV4_USD_PER_HOUR
    if resource.kind == "file-system":
        return _file_system(resource)
    return "billed by usage", None


def _volume(region: str, kind: str, gib: int, iops: int) -> float | None:
    month = price_usd(region, "volume_gib_month", kind)
    if month is None:
        return None
    total = gib * month
    provisioned = kind in VOLUME_TYPES and VOLUME_TYPES[kind].iops is not None
    if provisioned and (billed_iops := iops - FREE_IOPS.get(kind, 0)) > 0:
        each = price_usd(region, "volume_iops_month", kind)
        if each is None:
            return None
        total += billed_iops * each
    return total / HOURS_PER_MONTH


def _file_system(resource: Resource) -> tuple[str, float | None]:
    facts = resource.facts
    stored = price_usd(resource.region, "efs_gib_month", "one-zone" if facts["one_zone"] else "regional")
    words = f"{facts['bytes'] / _GIB:.1f} GiB, {facts['throughput_mode']} throughput"
    if stored is None:
        return words, None
    month = facts["bytes"] / _GIB * stored
    if facts["provisioned_mib_per_s"]:
        each = price_usd(resource.region, "efs_throughput", "provisioned_mib_per_s_month")
        if each is None:
            return words, None
        month += facts["provisioned_mib_per_s"] * each
    return words, month / HOURS_PER_MONTH
