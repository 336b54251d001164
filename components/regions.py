"""AWS regions and which instance types they offer, for when the account cannot be asked.

Compiled 2026-11. Offerings: DescribeInstanceTypeOfferings by availability zone, as recorded in moto 5.2.5.
Regions: those of EC2 in botocore's endpoint list; which must be opted in to:
https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html. A zone's letter is an
account's own name for it, so the zones here are a guess at another account's. The account's own answer, when
it can be had, goes before this table (components/facts.py).
"""

from __future__ import annotations

COMPILED = "2026-11"

ENABLED_BY_DEFAULT = frozenset(
    [
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ]
)
OPT_IN = frozenset(
    [
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
    ]
)
"""Regions that an account has only after it asked for them."""

REGIONS = ENABLED_BY_DEFAULT | OPT_IN

# Instance types -> "region:zones", one letter a zone.
_OFFERED = {
    "c4.4xlarge c4.8xlarge m4.xlarge m4.16xlarge": (
        "ap-northeast-1:acd ap-northeast-2:ac ap-northeast-3:a ap-south-1:ab ap-southeast-1:abc "
        "ap-southeast-2:abc ca-central-1:ab eu-central-1:abc eu-west-1:abc eu-west-2:abc sa-east-1:ac "
        "us-east-1:abcdef us-east-2:abc us-west-1:ab us-west-2:abc"
    ),
    "c5.9xlarge m5.xlarge": (
        "af-south-1:abc ap-east-1:abc ap-northeast-1:acd ap-northeast-2:abcd ap-northeast-3:abc "
        "ap-south-1:abc ap-south-2:abc ap-southeast-1:abc ap-southeast-2:abc ap-southeast-3:abc "
        "ap-southeast-4:abc ca-central-1:abd ca-west-1:abc eu-central-1:abc eu-central-2:abc "
        "eu-north-1:abc eu-south-1:abc eu-south-2:abc eu-west-1:abc eu-west-2:abc eu-west-3:abc "
        "il-central-1:abc me-central-1:abc me-south-1:abc sa-east-1:abc us-east-1:abcdf us-east-2:abc "
        "us-west-1:ab us-west-2:abcd"
    ),
    "c5n.9xlarge": (
        "af-south-1:abc ap-east-1:abc ap-northeast-1:acd ap-northeast-2:abc ap-northeast-3:abc "
        "ap-south-1:abc ap-southeast-1:abc ap-southeast-2:abc ap-southeast-3:abc ca-central-1:abd "
        "eu-central-1:abc eu-north-1:abc eu-south-1:abc eu-west-1:abc eu-west-2:abc eu-west-3:abc "
        "me-south-1:abc sa-east-1:abc us-east-1:abcdf us-east-2:abc us-west-1:ab us-west-2:abcd"
    ),
    "m4.10xlarge": (
        "ap-northeast-1:acd ap-northeast-2:ac ap-south-1:ab ap-southeast-1:abc ap-southeast-2:abc "
        "ca-central-1:ab eu-central-1:abc eu-west-1:abc eu-west-2:abc sa-east-1:ac us-east-1:abcdef "
        "us-east-2:abc us-west-1:ab us-west-2:abc"
    ),
    "t3.micro": (
        "af-south-1:abc ap-east-1:abc ap-northeast-1:acd ap-northeast-2:abcd ap-northeast-3:abc "
        "ap-south-1:abc ap-south-2:abc ap-southeast-1:abc ap-southeast-2:abc ap-southeast-3:abc "
        "ap-southeast-4:abc ap-southeast-5:abc ca-central-1:abd ca-west-1:abc eu-central-1:abc "
        "eu-central-2:abc eu-north-1:abc eu-south-1:abc eu-south-2:abc eu-west-1:abc eu-west-2:abcd "
        "eu-west-3:abc il-central-1:abc me-south-1:abc sa-east-1:abc us-east-1:abcdf us-east-2:abc "
        "us-west-1:ab us-west-2:abcd"
    ),
}


def _table() -> dict[str, dict[str, tuple[str, ...]]]:
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for types, row in _OFFERED.items():
        by_region: dict[str, tuple[str, ...]] = {}
        for entry in row.split():
            region, _, letters = entry.partition(":")
            by_region[region] = tuple(region + letter for letter in letters)
        for instance_type in types.split():
            table[instance_type] = by_region
    return table


ZONES_OFFERING = _table()
"""Instance type -> region -> availability zones."""


def regions_offering(instance_type: str) -> tuple[str, ...]:
    """Regions of the table that offer the type, sorted; empty when the table lacks the type."""
    return tuple(sorted(ZONES_OFFERING.get(instance_type, {})))
