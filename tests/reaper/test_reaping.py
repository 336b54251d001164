"""Reaping what each stack leaves, against the region's API: killed, refused and run again at each deletion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.clients import environment as lab_environment
from lab.paths import PROJECT
from reaper.kinds import KINDS
from reaper.plan import Selection, Status
from reaper.scheduled import OWN_KINDS, role_policy
from tests.lab.conftest import REGION
from tests.reaper.conftest import STACKS, Account, Interference, Killed, allowed_actions, denied
from tests.reaper.one_of_each import OURS, create_one_of_each

# Where the name of IAM's action is not the call's.
ACTIONS = {
    ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "ListMultipartUploads"): "s3:ListBucketMultipartUploads",
    ("s3", "DeleteObjects"): "s3:DeleteObject",
}
PREFIXES = {"efs": "elasticfilesystem", "resourcegroupstaggingapi": "tag"}
CALLS = {action: call for (_, call), action in ACTIONS.items()}
DELETIONS = {
    CALLS.get(action, action.partition(":")[2])
    for name, kind in KINDS.items()
    if name not in OWN_KINDS
    for action in kind.deletes
}
"""The calls that delete resources of the experiments."""


def test_killed_after_each_deletion_of_each_kind_the_next_call_goes_on_to_the_end(account: Account) -> None:
    """Each call is killed when AWS has carried out its first deletion: so every deletion is once the last one."""
    create_one_of_each(account.api, OURS)
    selection = account.everything()

    def kill(operation: str) -> None:
        raise Killed

    account.interference = Interference(after=kill)
    kills = 0
    while True:
        try:
            assert account.reap(selection) == []
            break
        except Killed:
            kills += 1
    assert kills == account.interference.writes.total()
    assert account.interference.writes.keys() == DELETIONS
    assert account.left() == []


def test_refused_once_at_each_deletion_of_each_kind_the_rest_goes_on(account: Account) -> None:
    """Each deletion is refused the first time that it is asked for. What needs something that stays, stays."""
    create_one_of_each(account.api, OURS)
    selection = account.everything()
    refused: set[str] = set()

    def refuse_once(operation: str, parameters: dict[str, Any]) -> None:
        key = f"{operation} {sorted(parameters.items())}"
        if key not in refused:
            refused.add(key)
            raise denied(operation)

    account.interference = Interference(before=refuse_once)
    before = len(account.left())
    for _ in range(20):
        left = account.reap(selection)
        now = len(account.left())
        assert left or now == 0
        if not left:
            break
        assert all("injected" in each.reason or "needs it and is still there" in each.reason for each in left)
        assert now <= before
        before = now
    assert account.left() == []
    assert len(refused) == account.interference.writes.total()
    assert account.interference.writes.keys() == DELETIONS


def test_a_kind_that_may_not_be_deleted_is_left_and_all_that_it_does_not_need_goes(account: Account) -> None:
    account.deploy("s3-throttle.lab")

    def refuse(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "TerminateInstances":
            raise denied(operation)

    account.interference = Interference(before=refuse)
    left = account.reap(account.everything())
    kinds = Counter(each.resource.kind for each in left)
    assert kinds["instance"] == 1
    needed = {"security-group", "subnet", "route-table", "internet-gateway", "vpc", "key-pair", "instance-profile"}
    assert needed | {"security-group-rule", "role"} == kinds.keys() - {"instance"}
    assert [each.partition(" ")[0] for each in account.left() if each.startswith(("bucket", "instance i-"))] == [
        "instance"
    ], "its network is whole, and the bucket, which it does not need, is gone"
    account.interference = Interference()
    assert account.reap(account.everything()) == []
    assert account.left() == []


def test_the_task_itself_is_killed_and_the_next_one_finishes(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.experiment.expiry", lambda hours: "2020-01-01T00:00:00Z")
    account.deploy("md-raid.lab")
    ec2 = account.api.ec2
    command = [sys.executable, "-m", "fabric", "account.reap", "--region", REGION, "--yes"]
    environment = {**os.environ, **lab_environment(account.api.url, REGION)}
    volumes = len(ec2.describe_volumes()["Volumes"])
    task = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    for line in task.stdout:
        if line.startswith("deleted"):
            task.kill()
            break
    assert task.wait() == -signal.SIGKILL
    task.stdout.close()
    assert 0 < len(ec2.describe_volumes()["Volumes"]) < volumes, "it was killed in the middle"
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.left() == []


def test_six_stacks_at_once_and_a_second_call_that_finds_nothing(account: Account) -> None:
    for stack in STACKS:
        account.deploy(stack)
    protected = account.protected_volumes()
    assert len(protected) == 2
    plan = account.plan(account.everything())
    kept = {kept.resource.id: kept.status for kept in plan.kept}
    assert kept == dict.fromkeys(protected, Status.PROTECTED)
    account.calls.clear()
    assert account.reap(account.everything()) == []
    assert sorted(account.left()) == sorted(f"volume {id}" for id in protected)
    assert account.reap(account.everything()) == []
    assert account.reap(account.everything(*protected)) == []
    assert account.left() == []
    needed = {ACTIONS.get(each, f"{PREFIXES.get(each[0], each[0])}:{each[1]}") for each in account.calls}
    assert "ec2:TerminateInstances" in needed
    allowed = allowed_actions(json.loads(role_policy(REGION, "tidemark-reaper")))
    assert needed - allowed == set(), "the scheduled reaper's role allows each call that the code makes"


def test_what_has_not_expired_stays(account: Account) -> None:
    account.deploy("eip-region.lab")
    before = account.left()
    plan = account.plan(Selection(datetime.now(UTC)))
    assert plan.delete == ()
    assert {kept.status for kept in plan.kept} == {Status.NOT_SELECTED}
    assert account.reap(Selection(datetime.now(UTC))) == []
    assert account.left() == before


def test_one_stack_alone_expired_or_not(account: Account) -> None:
    account.deploy("eip-region.lab")
    other = sorted(account.left())
    account.deploy("efs-iops.lab")
    assert account.reap(Selection(datetime.now(UTC), stack="efs-iops.lab")) == []
    assert sorted(account.left()) == other


def test_a_younger_host_keeps_what_it_stands_on(account: Account) -> None:
    """As after an `up` that made a host anew: its network is as old as the stack."""
    account.deploy("eip-region.lab")
    first = account.api.ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    later: list[Any] = [{"Key": "expires-at", "Value": "2999-01-01T00:00:00Z"}]
    account.api.ec2.create_tags(Resources=[first], Tags=later)
    assert account.reap(account.everything()) == []
    kinds = Counter(each.rpartition(" ")[0] for each in account.left())
    assert kinds == Counter(
        ["instance", "volume", "vpc", "subnet", "subnet", "security group", "internet gateway", "key pair"]
        + ["route table"] * 2
    )
    rules = account.api.ec2.describe_security_group_rules()["SecurityGroupRules"]
    assert len([rule for rule in rules if rule["Tags"]]) == 7, "the host's own rules still let one in"


def test_tags_that_change_after_the_plan_was_shown_count(account: Account) -> None:
    account.deploy("md-raid.lab")
    selection = account.everything()
    plan = account.plan(selection)
    (volume, *others) = [each for each in plan.delete if each.kind == "volume"]
    account.api.ec2.create_tags(Resources=[volume.id], Tags=[{"Key": "project", "Value": "adopted"}])
    # Not the one that the volume is attached to: that one alone would keep it.
    (instance, *_) = [each for each in plan.delete if each.kind == "instance" and volume.ref not in each.needs]
    account.api.ec2.delete_tags(Resources=[instance.id], Tags=[{"Key": "expires-at"}])
    left = {each.resource.id: each.reason for each in account.reaping(plan, selection).run()}
    assert left[volume.id] == "its tags have changed: its tag project is not tidemark"
    assert left[instance.id] == "its tags have changed: it has no tag expires-at"
    there = account.left()
    assert f"volume {volume.id}" in there
    assert f"instance {instance.id}" in there
    assert not {f"volume {each.id}" for each in others if each.ref not in instance.needs} & set(there)


def test_an_interrupt_in_one_region_ends_the_others_before_their_next_deletion(account: Account) -> None:
    account.deploy("md-raid.lab")
    selection = account.everything()
    plan = account.plan(selection)
    stopped = account.reaping(plan, selection)
    stopped.stop.set()
    left = stopped.run()
    assert {each.reason for each in left} == {"there was no time"}
    assert account.interference.writes.total() == 0
    deleted: list[str] = []
    in_time = threading.Event()

    def report(resource: Any) -> None:
        deleted.append(resource.id)
        if len(deleted) == 5:
            in_time.set()
            ended.stop.set()

    ended = account.reaping(plan, selection, report)
    left = ended.run()
    assert in_time.is_set()
    assert len(deleted) == 5
    assert len(left) + len(deleted) == len(plan.delete)


def test_a_bucket_is_emptied_first_and_one_with_versions_is_left(account: Account) -> None:
    account.deploy("s3-throttle.lab")
    s3 = account.api.clients.s3
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    s3.delete_bucket_policy(Bucket=bucket)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"object-{number}", Body=b"x")
    s3.create_multipart_upload(Bucket=bucket, Key="begun")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    plan = account.plan(account.everything())
    (kept,) = plan.with_status(Status.LEFT)
    assert kept.resource.id == bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert account.plan(account.everything()).with_status(Status.LEFT), "old versions may still be there"
