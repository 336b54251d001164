"""Every resource of every stack that can carry a tag says whose it is and when it expires."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest

from components.tags import DISPOSABLE_DATA, expiry
from reaper.plan import DATA_KINDS, Resource, Selection, Status
from reaper.tags import DATA_KEY, DISPOSABLE, Owner, parse_expiry, read_owner
from tests.components.stack_program import PROJECT, Run, lab_config, run_program, stack_file

STACKS = sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in (PROJECT / "stacks").glob("Pulumi.*.yaml"))


def resource_class(token: str) -> Any:
    """The class of pulumi_aws with that type, such as aws:ec2/vpc:Vpc."""
    package, _, name = token.partition("/")
    service = package.partition(":")[2]
    module = getattr(pulumi_aws, {"lambda": "lambda_"}.get(service, service))
    return getattr(module, name.partition(":")[2])


def can_be_tagged(token: str) -> bool:
    """Whether its arguments have `tags`, by the provider's own schema."""
    return "tags" in inspect.signature(resource_class(token)._internal_init).parameters


def test_what_can_be_tagged_is_told_from_what_can_not() -> None:
    assert can_be_tagged("aws:ec2/vpc:Vpc")
    assert can_be_tagged("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert not can_be_tagged("aws:ec2/route:Route")
    assert not can_be_tagged("aws:efs/mountTarget:MountTarget")


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_of_every_stack_expires(
    stack: str, declare_once: Callable[..., Run], public_key_file: Path, moto_endpoint: str
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    if stack.endswith(".lab"):
        run = run_program(Run(), lab_config(stack, moto_endpoint, public_key_file), stack)
    elif "tidemark:component" in stack_file(stack):
        run = run_program(Run(), stack_file(stack), stack)
    else:
        run = declare_once(stack)
    lifetime = timedelta(hours=int(stack_file(stack)["tidemark:lifetimeHours"]))
    tagged = [each for each in run.resources if each.custom and can_be_tagged(each.type)]
    assert len(tagged) >= 5
    assert not [
        each.name for each in run.resources if each.custom and not can_be_tagged(each.type) and "tags" in each.inputs
    ]
    for resource in tagged:
        all_tags = [resource.inputs["tags"]]
        if resource.type == "aws:ec2/instance:Instance":
            all_tags.append(resource.inputs["rootBlockDevice"]["tags"])
        for tags in all_tags:
            owner = read_owner(tags)
            assert isinstance(owner, Owner), f"{resource.name}: {owner}"
            assert owner.stack == stack
            # `declare_once` may have declared it a while ago.
            assert before - timedelta(minutes=30) + lifetime <= owner.expires_at <= datetime.now(UTC) + lifetime


@pytest.mark.parametrize(
    ("stack", "changes", "protected"),
    [
        ("md-raid.eu-central-1", {}, []),
        ("efs-iops.eu-central-1", {}, []),
        ("s3-throttle.eu-central-1", {}, []),
        ("iscsi-tunnel.eu-central-1", {}, ["server-volume-1"]),
        ("encrypted-backup.eu-central-1", {}, ["server-volume-1"]),
        ("encrypted-backup.eu-central-1", {"deleteVolume": "server-volume-1"}, []),
    ],
)
def test_what_the_program_protects_the_reaper_protects(
    stack: str, changes: dict[str, str], protected: list[str], declare_once: Callable[..., Run]
) -> None:
    run = declare_once(stack, **changes)
    kinds = {
        "aws:ebs/volume:Volume": "volume",
        "aws:efs/fileSystem:FileSystem": "file-system",
        "aws:s3/bucket:Bucket": "bucket",
    }
    found = {
        each.name: Resource("eu-central-1", kinds[each.type], each.name, each.inputs["tags"])
        for each in run.resources
        if each.type in kinds
    }
    later = Selection(datetime.now(UTC) + timedelta(days=30))
    reasons = {name: later.reason_to_keep(resource) for name, resource in found.items()}
    assert {name for name, reason in reasons.items() if reason and reason[0] == Status.PROTECTED} == set(protected)
    assert {name for name in found if run.named(name).protect} == set(protected)
    assert [reason for name, reason in reasons.items() if name not in protected and reason] == []
    assert set(kinds.values()) == DATA_KINDS


def test_components_and_reaper_mean_the_same_tags() -> None:
    assert DISPOSABLE_DATA == {DATA_KEY: DISPOSABLE}
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert parse_expiry(expiry(4, now)) == now + timedelta(hours=4)
