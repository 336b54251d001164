"""Wrong stack files of efs-iops: each gives its one line, before anything is created."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.components import stack_program, wrong_stack
from tests.components.stack_program import Run
from tests.components.wrong_stack import TABLE_TYPES, Wrong

STACK = "efs-iops.eu-central-1"
ONE_ZONE_REGIONS = (
    "af-south-1, ap-east-1, ap-northeast-1, ap-northeast-2, ap-south-1, ap-southeast-1, ap-southeast-2, ca-central-1, "
    "eu-central-1, eu-north-1, eu-south-1, eu-west-1, eu-west-2, eu-west-3, me-south-1, sa-east-1, us-east-1, "
    "us-east-2, us-west-1, us-west-2"
)

WRONG = [
    Wrong(
        {"tidemark:throughputMode": "turbo"},
        "tidemark:throughputMode: there is no turbo; choose one of bursting, elastic, provisioned",
    ),
    Wrong(
        {"tidemark:performanceMode": "maxio"},
        "tidemark:performanceMode: there is no maxio; choose one of generalPurpose, maxIO",
    ),
    Wrong(
        {"tidemark:availability": "onezone"},
        "tidemark:availability: there is no onezone; choose one of regional, one-zone",
    ),
    Wrong(
        {"tidemark:availability": ""},
        "tidemark:availability: empty; give it a value or remove the line",
    ),
    Wrong(
        {"tidemark:throughputMode": "provisioned"},
        "tidemark:provisionedMibPerS: missing, and provisioned throughput needs it; allowed are 1 to 3414 MiB/s",
    ),
    Wrong(
        {"tidemark:provisionedMibPerS": "128"},
        "tidemark:provisionedMibPerS: bursting throughput takes no number of MiB/s; remove it, or set "
        "tidemark:throughputMode provisioned",
        "bursting with a number",
    ),
    Wrong(
        {"tidemark:throughputMode": "elastic", "tidemark:provisionedMibPerS": "128"},
        "tidemark:provisionedMibPerS: elastic throughput takes no number of MiB/s; remove it, or set "
        "tidemark:throughputMode provisioned",
        "elastic with a number",
    ),
    Wrong(
        {"tidemark:throughputMode": "provisioned", "tidemark:provisionedMibPerS": "3415"},
        "tidemark:provisionedMibPerS: 3415 is out of range; allowed are 1 to 3414, or none",
    ),
    Wrong(
        {"tidemark:throughputMode": "provisioned", "tidemark:provisionedMibPerS": "0"},
        "tidemark:provisionedMibPerS: 0 is out of range; allowed are 1 to 3414, or none",
    ),
    Wrong(
        {"tidemark:throughputMode": "provisioned", "tidemark:provisionedMibPerS": "much"},
        "tidemark:provisionedMibPerS: much is not a whole number; allowed are 1 to 3414, or none",
    ),
    Wrong(
        {"tidemark:performanceMode": "maxIO", "tidemark:throughputMode": "elastic"},
        "tidemark:performanceMode: maxIO does not go with elastic throughput; choose generalPurpose, or another "
        "throughput mode",
    ),
    Wrong(
        {"tidemark:performanceMode": "maxIO", "tidemark:availability": "one-zone"},
        "tidemark:performanceMode: maxIO does not go with one-zone; choose generalPurpose, or set "
        "tidemark:availability regional",
    ),
    Wrong(
        {"tidemark:availability": "one-zone", "tidemark:clientZones": "2"},
        "tidemark:clientZones: 2 zones, and a one-zone file system has a mount target in one; choose 1, or set "
        "tidemark:availability regional",
    ),
    Wrong(
        {
            "tidemark:availability": "one-zone",
            "aws:region": "eu-south-2",
            "tidemark:clientType": "m5.xlarge",
            "tidemark:maxUsdPerHour": "none",
        },
        "tidemark:availability: one-zone is not offered in eu-south-2 (table of 2026-11); choose regional, or one of "
        f"{ONE_ZONE_REGIONS}",
    ),
    Wrong(
        {"tidemark:clientZones": "2", "tidemark:clients": "1"},
        "tidemark:clientZones: 2 zones, and clients in 1 of them at most (tidemark:clients); choose 1 at most, or "
        "more clients",
    ),
    Wrong(
        {"tidemark:clientZones": "4", "tidemark:clients": "4"},
        "tidemark:clientZones: 4 asked for, and 3 zones of eu-central-1 offer m4.xlarge (table of 2026-11); choose "
        "3 at most: eu-central-1a, eu-central-1b, eu-central-1c",
    ),
    Wrong({"tidemark:clientZones": "7"}, "tidemark:clientZones: 7 is out of range; allowed are 1 to 6"),
    Wrong({"tidemark:clients": "17"}, "tidemark:clients: 17 is out of range; allowed are 1 to 16"),
    Wrong({"tidemark:clients": "two"}, "tidemark:clients: two is not a whole number; allowed are 1 to 16"),
    Wrong(
        {"tidemark:zone": "eu-west-1a"},
        "tidemark:zone: eu-west-1a does not offer EFS and m4.xlarge (table of 2026-11); choose one of eu-central-1a, "
        "eu-central-1b, eu-central-1c",
    ),
    Wrong(
        {"tidemark:clientType": "c7g.4xlarge"},
        "tidemark:clientType: c7g.4xlarge is not in the table of 2026-11; give AWS credentials, or choose one of "
        f"{TABLE_TYPES}",
    ),
    Wrong(
        {"aws:region": "eu-centrl-1", "tidemark:availability": "one-zone"},
        "aws:region: there is no region eu-centrl-1 (table of 2026-11); did you mean eu-central-1?",
        "a misspelt region is one fault",
    ),
    Wrong(
        {"tidemark:cpuLimit": "3"},
        "tidemark:cpuLimit: m4.xlarge cannot be launched with 3 CPUs; possible are 1, 2, 4, or none",
    ),
    Wrong(
        {"tidemark:memoryLimitMib": "16384"},
        "tidemark:memoryLimitMib: 16384 MiB does not limit the 16384 MiB of m4.xlarge; choose less, or none",
    ),
    Wrong(
        {"tidemark:throughputMode": "provisioned", "tidemark:provisionedMibPerS": "1024"},
        "tidemark:maxUsdPerHour: this stack costs $10.59 an hour, above the limit of $2.00; raise the limit or ask "
        "for less",
    ),
    Wrong(
        {"aws:region": "us-west-2", "tidemark:throughputMode": "elastic"},
        "tidemark:maxUsdPerHour: the limit of $2.00 cannot be checked: the price table of 2025-06 has no m4.xlarge, "
        "gp3 volumes, elastic throughput, EFS storage in us-west-2; look the price up, and set "
        "tidemark:maxUsdPerHour to none if you accept it",
        "price unknown",
    ),
    Wrong(
        {"tidemark:provisionedMibPS": "128"},
        "tidemark:provisionedMibPS: not a setting of this experiment; did you mean tidemark:provisionedMibPerS?",
    ),
    Wrong(
        {"tidemark:storageServers": "3"},
        "tidemark:storageServers: not a setting of this experiment; remove it; the settings are allowSshFromAnywhere, "
        "availability, clientType, clientZones, clients, component, cpuLimit, experiment, lifetimeHours, "
        "maxUsdPerHour, memoryLimitMib, performanceMode, provisionedMibPerS, sshCidr, sshProxyCommand, "
        "sshPublicKeyFile, throughputMode, zone",
    ),
    Wrong(
        {
            "aws:endpoints": json.dumps([{"ec2": "http://127.0.0.1:9"}]),
            "aws:accessKey": "rehearsal",
            "aws:secretKey": "rehearsal",
        },
        "aws:endpoints: without efs, a file system would be created on AWS; add efs",
    ),
]


def config_with(changes: Mapping[str, str | None], public_key_file: Path) -> dict[str, str]:
    return stack_program.config_with(STACK, changes, public_key_file)


def test_the_unchanged_stack_is_right(declare_once: Callable[..., Run]) -> None:
    assert declare_once(STACK).resources


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_one_line_and_nothing_created(wrong: Wrong, public_key_file: Path) -> None:
    assert wrong_stack.lines_of_refusal(STACK, config_with(wrong.changes, public_key_file)) == [wrong.line]


def test_several_faults_are_all_told(public_key_file: Path) -> None:
    changes = {
        "tidemark:lifetimeHours": None,
        "tidemark:throughputMode": "provisioned",
        "tidemark:availability": "one-zone",
        "tidemark:performanceMode": "maxIO",
        "tidemark:clientZones": "2",
    }
    lines = wrong_stack.lines_of_refusal(STACK, config_with(changes, public_key_file))
    assert [line.partition(": ")[0] for line in lines] == [
        "tidemark:lifetimeHours",
        "tidemark:provisionedMibPerS",
        "tidemark:performanceMode",
        "tidemark:clientZones",
    ]


def test_an_image_that_cannot_be_looked_up(public_key_file: Path) -> None:
    (line,) = wrong_stack.lines_of_refusal(STACK, config_with({}, public_key_file), image_error="ParameterNotFound")
    assert line.startswith("aws:region: the Debian 12 image could not be looked up in eu-central-1 (")
