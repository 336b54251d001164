"""Renews aws_offers/data.json from AWS's API: `make offers`, or `python -m aws_offers.renew [--dry-run]`.

It asks EC2 for regions, instance types and the zones that offer them, and the price list (GetProducts) for prices. It
only reads, prints a diff, and writes the file when every question was answered. What AWS has no answer for keeps its
value, with a note. To add an instance type, a region's prices or a volume type, add its key to data.json and renew.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import difflib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError

from aws_offers import DATA_FILE, InstanceType

CALLS = "ec2:DescribeRegions, ec2:DescribeInstanceTypes, ec2:DescribeInstanceTypeOfferings and pricing:GetProducts"
_HOME_REGION = "us-east-1"  # has every type of the table, and one of the price list's endpoints
_LINUX_ON_DEMAND = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
# What the price list calls io1.
_VOLUME_USAGE = {"io1": "piops"}

Client = Any
Clients = Callable[[str, str], Client]
"""Makes a client of a service in a region."""


class RenewalError(Exception):
    """One line: what went wrong, and what to do."""


@dataclass(frozen=True)
class Product:
    """What identifies one price in the price list: filters of GetProducts, then the end of the usage type, which begins
    with a prefix of the region (`EUC1-EBS:VolumeUsage.gp3`; us-east-1 has none); and the units that its price may be
    in.
    """

    service: str
    filters: Mapping[str, str]
    usage: str
    units: tuple[str, ...]

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Returns whether a product of the answer is this one."""
        usage = attributes.get("usagetype", "")
        return usage == self.usage or usage.endswith(f"-{self.usage}")


_GIB_MONTH = ("GB-Mo", "GB-month")
_PUBLIC_IPV4 = Product("AmazonVPC", {}, "PublicIPv4:InUseAddress", ("Hrs",))
_EFS = {
    ("efs_gib_month", "regional"): Product("AmazonEFS", {}, "TimedStorage-ByteHrs", _GIB_MONTH),
    ("efs_gib_month", "one-zone"): Product("AmazonEFS", {}, "TimedStorage-Z-ByteHrs", _GIB_MONTH),
    ("efs_throughput", "provisioned_mib_per_s_month"): Product(
        "AmazonEFS", {}, "ProvisionedTP-MiBpsHrs", ("MiBps-Mo",)
    ),
    ("efs_throughput", "elastic_gb_read"): Product("AmazonEFS", {"accessType": "Read"}, "ETDataAccess-Bytes", ("GB",)),
    ("efs_throughput", "elastic_gb_written"): Product(
        "AmazonEFS", {"accessType": "Write"}, "ETDataAccess-Bytes", ("GB",)
    ),
}


def product(kind: str, item: str) -> Product:
    """Returns what the price list has for a price of data.json. Raises RenewalError for an unknown kind."""
    if kind == "instance_hour":
        return Product("AmazonEC2", {"instanceType": item, **_LINUX_ON_DEMAND}, f"BoxUsage:{item}", ("Hrs",))
    usage = _VOLUME_USAGE.get(item, item)
    if kind == "volume_gib_month":
        return Product("AmazonEC2", {"volumeApiName": item}, f"EBS:VolumeUsage.{usage}", _GIB_MONTH)
    if kind == "volume_iops_month":
        return Product("AmazonEC2", {"volumeApiName": item}, f"EBS:VolumeP-IOPS.{usage}", ("IOPS-Mo",))
    try:
        return _EFS[kind, item]
    except KeyError:
        raise RenewalError(
            f"{DATA_FILE.name} has a price {kind} {item}, which is not known here; remove it, or add it to `product`"
        ) from None


def renewed(
    data: Mapping[str, Any], clients: Clients, today: date, tell: Callable[[str], object] = lambda _: None
) -> tuple[dict[str, Any], list[str]]:
    """Returns the data as AWS has it today, and notes about what kept its value; `tell` gets lines of progress.

    Raises botocore's errors, and RenewalError.
    """
    found = copy.deepcopy(dict(data))
    notes: list[str] = []
    enabled = _renew_regions(found["regions"], clients)
    _renew_types(found["instance_types"]["types"], clients, notes)
    tell(f"asking EC2 in {len(enabled)} regions for their zones")
    _renew_zones(found["zones"]["offering"], list(found["instance_types"]["types"]), enabled, found, clients, notes)
    prices = sum(len(items) for kinds in found["prices"]["usd"].values() for items in kinds.values())
    tell(f"asking the price list for {prices} prices, one by one")
    _renew_prices(found, clients, notes)
    sources = {
        "regions": "EC2 DescribeRegions",
        "instance_types": f"EC2 DescribeInstanceTypes in {_HOME_REGION}",
        "zones": "EC2 DescribeInstanceTypeOfferings by availability zone; without Local Zones; a letter a zone",
        "prices": "AWS Price List, GetProducts: US dollars, without tax, on demand, Linux, shared tenancy; the dearest "
        "tier",
    }
    for section, source in sources.items():
        found[section] |= {"as_of": today.isoformat(), "source": [source]}
    return found, notes


def _renew_regions(regions: dict[str, Any], clients: Clients) -> list[str]:
    """Fills the lists of regions; returns those that this account may ask."""
    answer = clients("ec2", _HOME_REGION).describe_regions(AllRegions=True)["Regions"]
    status = {region["RegionName"]: region["OptInStatus"] for region in answer}
    regions["enabled_by_default"] = sorted(name for name, opt in status.items() if opt == "opt-in-not-required")
    regions["opt_in"] = sorted(name for name, opt in status.items() if opt != "opt-in-not-required")
    return sorted(name for name, opt in status.items() if opt != "not-opted-in")


def _renew_types(types: dict[str, Any], clients: Clients, notes: list[str]) -> None:
    # A filter, since asking for a type that is not there is an error.
    pages = _pages(
        clients("ec2", _HOME_REGION),
        "describe_instance_types",
        Filters=[{"Name": "instance-type", "Values": sorted(types)}],
    )
    described = {info["InstanceType"]: info for page in pages for info in page["InstanceTypes"]}
    for name in types:
        if name in described:
            fields = dataclasses.asdict(InstanceType.from_api(described[name]))
            types[name] = {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in fields.items()
                if key != "name"
            }
        else:
            notes.append(f"{name} is not described in {_HOME_REGION}: its figures are the old ones")


def _renew_zones(
    offering: dict[str, Any],
    types: list[str],
    enabled: list[str],
    data: Mapping[str, Any],
    clients: Clients,
    notes: list[str],
) -> None:
    for region in enabled:
        pages = _pages(
            clients("ec2", region),
            "describe_instance_type_offerings",
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": sorted(types)}],
        )
        offers = [(each["InstanceType"], each["Location"]) for page in pages for each in page["InstanceTypeOfferings"]]
        for name in types:
            letters = sorted(zone[-1] for kind, zone in offers if kind == name and len(zone) == len(region) + 1)
            by_region = offering.setdefault(name, {})
            by_region.pop(region, None)
            if letters:
                by_region[region] = "".join(letters)
    for name in types:
        offering[name] = dict(sorted(offering[name].items()))
    not_asked = sorted(set(data["regions"]["opt_in"]) - set(enabled))
    if not_asked:
        notes.append(f"this account has not opted in to {', '.join(not_asked)}: the zones there are the old ones")


def _renew_prices(data: dict[str, Any], clients: Clients, notes: list[str]) -> None:
    pricing = clients("pricing", _HOME_REGION)
    prices = data["prices"]
    for region, kinds in prices["usd"].items():
        for name in data["instance_types"]["types"]:
            if region in data["zones"]["offering"][name]:
                kinds["instance_hour"].setdefault(name, None)
        for kind, items in kinds.items():
            for item, old in list(items.items()):
                price = _price(pricing, product(kind, item), region)
                if price is not None:
                    items[item] = price
                    continue
                kept = "it stays unknown" if old is None else "its price is the old one"
                notes.append(f"the price list has no {kind} {item} in {region}: {kept}")
                if old is None:
                    del items[item]
    ipv4 = [_price(pricing, _PUBLIC_IPV4, region) for region in prices["usd"]]
    known = [price for price in ipv4 if price is not None]
    if known:
        prices["public_ipv4_usd_per_hour"] = max(known)
    else:
        notes.append("the price list has no public IPv4 address: its price is the old one")


def _price(pricing: Client, wanted: Product, region: str) -> float | None:
    """Returns the product's price, its dearest tier; None if the list has none. Raises RenewalError for two products or
    a unit that is not the table's.
    """
    filters = {"regionCode": region, **wanted.filters}
    pages = _pages(
        pricing,
        "get_products",
        ServiceCode=wanted.service,
        Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
    )
    entries = [json.loads(text) for page in pages for text in page["PriceList"]]
    matching = [entry for entry in entries if wanted.matches(entry["product"]["attributes"])]
    dimensions = [
        dimension
        for entry in matching
        for term in entry["terms"].get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
    ]
    units = {dimension["unit"] for dimension in dimensions}
    if len(matching) > 1 or not units <= set(wanted.units):
        what = f"{len(matching)} products" if len(matching) > 1 else f"the unit {', '.join(sorted(units))}"
        expected = f"expected is one, in {' or '.join(wanted.units)}: correct `product` in aws_offers/renew.py"
        raise RenewalError(f"the price list has {what} for {wanted.usage} in {region}; {expected}")
    found = [float(dimension["pricePerUnit"]["USD"]) for dimension in dimensions if "USD" in dimension["pricePerUnit"]]
    return max(found, default=None)


def _pages(client: Client, operation: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
    yield from client.get_paginator(operation).paginate(**arguments)


def to_text(data: Mapping[str, Any]) -> str:
    """Returns the file's text: a line for each value, and lists on one line, so that a diff is readable."""

    def write(value: Any, indent: str) -> str:
        if not isinstance(value, Mapping):
            return json.dumps(value, ensure_ascii=False)
        inner = indent + "  "
        lines = ",\n".join(f"{inner}{json.dumps(key)}: {write(item, inner)}" for key, item in value.items())
        return f"{{\n{lines}\n{indent}}}"

    return write(data, "") + "\n"


def _clients() -> Clients:
    session = boto3.Session()
    config = botocore.config.Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})

    @functools.cache
    def client(service: str, region: str) -> Client:
        named: Any = service  # the stubs know the services that they were made for
        try:
            return session.client(named, region_name=region, config=config)
        except ValueError as error:  # an endpoint without http://, a number in ~/.aws/config that is none
            remedy = "see your AWS settings (AWS_ENDPOINT_URL, ~/.aws/config)"
            raise RenewalError(f"{service} cannot be asked ({' '.join(str(error).split())}); {remedy}") from None

    return client


def _error_line(error: Exception) -> str:
    """Returns why AWS did not answer and what to do, in one line."""
    if isinstance(error, RenewalError):
        return str(error)
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
            return f"the credentials may not call {error.operation_name} ({code}); allow {CALLS}"
        message = " ".join(error.response.get("Error", {}).get("Message", "").split())
        return f"AWS answers {error.operation_name} with {code}: {message}; see `aws sts get-caller-identity`"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
        return f"no AWS credentials ({' '.join(str(error).split())}); see `aws configure list`"
    return f"AWS cannot be reached ({' '.join(str(error).split())}); the file is as it was"


def _tell(words: str) -> None:
    print(f"aws_offers: {words}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None, clients: Clients | None = None, path: Path = DATA_FILE) -> int:
    """Renews the file at `path`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m aws_offers.renew", description="Renew data.json from AWS's API.")
    parser.add_argument("--dry-run", action="store_true", help="print the diff, write nothing")
    dry_run: bool = parser.parse_args(arguments).dry_run
    before = path.read_text(encoding="utf-8")
    try:
        data, notes = renewed(json.loads(before), clients or _clients(), datetime.now(UTC).date(), _tell)
    except (RenewalError, BotoCoreError, ClientError, ResponseParserError) as error:
        print(f"aws_offers: {_error_line(error)}", file=sys.stderr)
        return 1
    after = to_text(data)
    sys.stdout.writelines(
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), path.name, f"{path.name}, renewed", n=1
        )
    )
    for note in notes:
        _tell(note)
    if not dry_run:
        new = path.with_name(f"{path.name}.new")
        try:
            new.write_text(after, encoding="utf-8")
            new.replace(path)
        except OSError as error:  # a full disk, a checkout that is read-only
            with contextlib.suppress(OSError):
                new.unlink()
            print(f"aws_offers: {path}: {error.strerror}; the file is as it was", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
