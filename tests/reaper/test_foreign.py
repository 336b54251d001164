"""What is not this project's stays: beside, inside and attached to what is deleted, however its tags look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reaper.ec2 import _addresses, _Site
from reaper.plan import Status, make_plan
from reaper.services import find_buckets
from tests.lab.conftest import REGION
from tests.reaper.conftest import Account, denied
from tests.reaper.one_of_each import OURS, TRUST, create_one_of_each, pairs, specification

EXPIRY = OURS["expires-at"]
NEARLY_OURS: dict[str, dict[str, str]] = {
    "no tags at all": {},
    "no project": {key: value for key, value in OURS.items() if key != "project"},
    "no stack": {key: value for key, value in OURS.items() if key != "stack"},
    "no expiry": {key: value for key, value in OURS.items() if key != "expires-at"},
    "another project": OURS | {"project": "tidemark2"},
    "the project in capitals": OURS | {"project": "Tidemark"},
    "an empty project": OURS | {"project": ""},
    "an empty stack": OURS | {"stack": ""},
    "a stack that is no name": OURS | {"stack": "a b"},
    "a key in capitals": {key.upper(): value for key, value in OURS.items()},
    "an expiry in words": OURS | {"expires-at": "yesterday"},
    "an empty expiry": OURS | {"expires-at": ""},
    "an expiry without a zone": OURS | {"expires-at": "2020-01-01T00:00:00"},
    "an expiry with another zone": OURS | {"expires-at": "2020-01-01T00:00:00+02:00"},
    "an expiry on no day": OURS | {"expires-at": "2020-02-30T00:00:00Z"},
    "an expiry with something behind it": OURS | {"expires-at": f"{EXPIRY}Z"},
    "the expiry of a person": OURS | {"expires-at": "never"},
}


@pytest.mark.parametrize("service", ["iam", "s3", "ec2"])
def test_what_goes_while_the_account_is_read_hides_nothing_else(
    account: Account, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `pulumi destroy` beside it: between the list and the question about an entry the entry is deleted."""
    call: str
    delete: Callable[[], Any] | None
    clients, client = account.api.clients, account.client_of(REGION if service != "iam" else "us-east-1", service)
    if service == "iam":
        for name in ("tidemark-a", "tidemark-b"):
            clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Tags=pairs(OURS))
        call, delete = "list_role_tags", partial(clients.iam.delete_role, RoleName="tidemark-a")
    elif service == "s3":
        here: Any = {"LocationConstraint": REGION}
        for name in ("tidemark-a", "tidemark-b"):
            clients.s3.create_bucket(Bucket=name, CreateBucketConfiguration=here)
            clients.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs(OURS)})
        call, delete = "get_bucket_location", partial(clients.s3.delete_bucket, Bucket="tidemark-a")
    else:
        image = account.api.ec2.describe_images(Owners=["self", "amazon"])["Images"][0]["ImageId"]
        for _ in range(2):
            account.api.ec2.run_instances(
                ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specification("instance", OURS)
            )
        call, delete = "describe_instance_attribute", None
    original: Any = getattr(client, call)
    calls: list[dict[str, Any]] = []

    def gone_at_first(**given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            if delete is not None:
                delete()
            else:
                raise ClientError({"Error": {"Code": "InvalidInstanceID.NotFound", "Message": "gone"}}, call)
        return original(**given)

    monkeypatch.setattr(client, call, gone_at_first)
    found = account.find()
    assert len(calls) == 2
    assert found.unasked == {}
    if service == "ec2":
        assert [each.kind for each in found.resources].count("instance") == 2
    else:
        assert [each.id for each in found.resources] == ["tidemark-b"]


def test_a_bucket_whose_place_has_the_old_name_of_ireland_is_found() -> None:
    """GetBucketLocation answers EU for those that were made so (Amazon S3 API Reference)."""

    class OldBucket:
        def list_buckets(self) -> Any:
            return {"Buckets": [{"Name": "tidemark-a", "CreationDate": datetime(2020, 1, 1, tzinfo=UTC)}]}

        def get_bucket_tagging(self, Bucket: str) -> Any:
            return {"TagSet": pairs(OURS)}

        def get_bucket_location(self, Bucket: str) -> Any:
            return {"LocationConstraint": "EU"}

        def get_bucket_versioning(self, Bucket: str) -> Any:
            return {}

    assert [each.region for each in find_buckets(OldBucket(), ["eu-west-1"])] == ["eu-west-1"]


def test_an_address_without_a_public_one_hides_nothing_else() -> None:
    """A carrier address of a Wavelength Zone has an allocation, and no PublicIp."""
    carrier = {"AllocationId": "eipalloc-1", "CarrierIp": "155.146.0.1", "Tags": pairs(OURS)}
    usual = {"AllocationId": "eipalloc-2", "PublicIp": "198.51.100.7", "Tags": pairs(OURS)}
    found = list(_addresses(REGION, _Site({}, {}, {}, [carrier, usual])))
    assert [(each.id, sorted(each.names)) for each in found] == [("eipalloc-1", []), ("eipalloc-2", ["198.51.100.7"])]


NAMES = list(NEARLY_OURS)
FIVES = [NAMES[first : first + 5] for first in range(0, len(NAMES), 5)]  # EC2 gives no more than five addresses


@pytest.mark.parametrize("names", FIVES, ids=", ".join)
def test_what_is_nearly_ours_stays(account: Account, names: list[str]) -> None:
    """One of each kind with each of these tags, in a VPC with the same tags."""
    for number, name in enumerate(names):
        create_one_of_each(account.api, NEARLY_OURS[name], number)
    ec2 = account.api.ec2
    before, rules = account.left(), ec2.describe_security_group_rules()["SecurityGroupRules"]
    kinds = Counter(each.rpartition(" ")[0] for each in before)
    assert len(kinds) == 14, "every kind that the account can hold"
    assert min(kinds.values()) == len(names), "one with each of the tags"
    for selection in (account.everything(), account.everything("vol-00000000")):
        plan = account.plan(selection)
        assert [(each.kind, each.tags) for each in plan.delete] == []
        assert account.reaping(plan, selection).run() == []
    assert account.interference.writes.total() == 0
    assert account.left() == before
    assert ec2.describe_security_group_rules()["SecurityGroupRules"] == rules


def test_somebody_elses_host_in_our_network_keeps_it_and_ours_go(account: Account) -> None:
    account.deploy("eip-region.lab")
    ec2 = account.api.ec2
    group = next(
        g for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default" and g["VpcId"]
    )
    subnet = next(s for s in ec2.describe_subnets()["Subnets"] if s["CidrBlock"] == "10.20.1.0/24")
    image = ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    theirs = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet["SubnetId"],
        SecurityGroupIds=[group["GroupId"]],
        TagSpecifications=specification("instance", OURS | {"project": "theirs"}),
    )["Instances"][0]["InstanceId"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}])
    plan = account.plan(account.everything())
    assert {"security-group", "vpc", "internet-gateway", "route-table", "subnet"} <= {
        kept.resource.kind for kept in plan.with_status(Status.LEFT)
    }
    assert any("which is not this project's" in kept.reason for kept in plan.kept)
    assert account.reap(account.everything()) == []
    running = [
        each["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for each in reservation["Instances"]
        if each["State"]["Name"] == "running"
    ]
    assert running == [theirs]
    after = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}])
    assert after["SecurityGroupRules"] == rules["SecurityGroupRules"], "nobody is locked out of it"
    (gateway,) = [g for g in ec2.describe_internet_gateways()["InternetGateways"] if g.get("Tags")]
    assert gateway["Attachments"], "nor cut off"
    ec2.terminate_instances(InstanceIds=[theirs])
    assert account.reap(account.everything()) == []
    assert account.left() == []


def test_what_arrives_between_plan_and_deletion_is_not_cut_off(account: Account) -> None:
    account.deploy("eip-region.lab")
    selection = account.everything()
    plan = account.plan(selection)
    ec2 = account.api.ec2
    subnet = next(s for s in ec2.describe_subnets()["Subnets"] if s["CidrBlock"] == "10.20.1.0/24")
    group = next(
        g for g in ec2.describe_security_groups()["SecurityGroups"] if g["VpcId"] == subnet["VpcId"] and g.get("Tags")
    )
    card = ec2.create_network_interface(SubnetId=subnet["SubnetId"], Groups=[group["GroupId"]])
    left = account.reaping(plan, selection).run()
    assert any(card["NetworkInterface"]["NetworkInterfaceId"] in each.reason for each in left)
    assert {"security-group-rule", "security-group", "subnet", "internet-gateway", "vpc", "route-table"} <= {
        each.resource.kind for each in left
    }
    (gateway,) = [g for g in ec2.describe_internet_gateways()["InternetGateways"] if g.get("Tags")]
    assert gateway["Attachments"]


def test_volumes_that_a_termination_would_take_along_keep_the_host(account: Account) -> None:
    account.deploy("iscsi-tunnel.lab")
    ec2 = account.api.ec2
    (protected,) = account.protected_volumes()
    (server,) = ec2.describe_volumes(VolumeIds=[protected])["Volumes"][0]["Attachments"]
    real = account.client_of(REGION, "ec2")

    def with_deletion(parsed: dict[str, Any], **_: Any) -> None:
        """EC2's ModifyInstanceAttribute sets it; moto does not."""
        for reservation in parsed.get("Reservations", []):
            for instance in reservation["Instances"]:
                for mapping in instance.get("BlockDeviceMappings", []):
                    mapping["Ebs"]["DeleteOnTermination"] = True

    real.meta.events.register("after-call.ec2.DescribeInstances", with_deletion)
    plan = account.plan(account.everything())
    reasons = {kept.resource.id: kept.reason for kept in plan.kept}
    assert reasons[server["InstanceId"]] == f"its termination would delete the volume {protected}"
    assert "vpc" in {kept.resource.kind for kept in plan.kept}
    assert account.reap(account.everything()) == []
    assert f"instance {server['InstanceId']}" in account.left()


def test_termination_protection_keeps_the_host_and_its_network(account: Account) -> None:
    account.deploy("eip-region.lab")
    ec2 = account.api.ec2
    first = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=first, DisableApiTermination={"Value": True})
    assert account.reap(account.everything()) == []
    left = account.left()
    assert [each for each in left if each.startswith("instance")] == [f"instance {first}"]
    assert any(each.startswith("vpc") for each in left)


def test_our_volume_and_address_in_somebody_elses_hands_stay(account: Account) -> None:
    ec2 = account.api.ec2
    image = ec2.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    theirs = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
    volume = ec2.create_volume(
        AvailabilityZone=theirs["Placement"]["AvailabilityZone"],
        Size=1,
        TagSpecifications=specification("volume", OURS),
    )["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=theirs["InstanceId"], Device="/dev/sdf")
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip", OURS))["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=theirs["InstanceId"])
    before = account.left()
    plan = account.plan(account.everything())
    assert plan.delete == ()
    assert {kept.resource.id for kept in plan.with_status(Status.LEFT)} == {volume, address}
    assert account.reap(account.everything()) == []
    assert account.left() == before
    assert ec2.describe_addresses()["Addresses"][0]["InstanceId"] == theirs["InstanceId"]


def test_a_role_and_a_profile_that_somebody_else_uses_stay(account: Account) -> None:
    account.deploy("s3-throttle.lab")
    clients = account.api.clients
    (ours,) = clients.iam.list_instance_profiles()["InstanceProfiles"]
    other = account.client_of("us-east-1", "ec2")
    image = other.register_image(Name="any", RootDeviceName="/dev/xvda")["ImageId"]
    theirs = other.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    other.associate_iam_instance_profile(InstanceId=theirs, IamInstanceProfile={"Arn": ours["Arn"]})
    assert account.reap(account.everything()) == []
    (there,) = clients.iam.list_instance_profiles()["InstanceProfiles"]
    assert [role["RoleName"] for role in there["Roles"]] == [role["RoleName"] for role in ours["Roles"]]
    assert clients.iam.list_role_policies(RoleName=there["Roles"][0]["RoleName"])["PolicyNames"]
    other.terminate_instances(InstanceIds=[theirs])
    assert account.reap(account.everything()) == []
    assert account.left() == []


def test_what_nothing_here_deletes_is_shown_and_stays(account: Account) -> None:
    """A snapshot that was made with its volume's tags is somebody's backup."""
    ec2 = account.api.ec2
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume, TagSpecifications=specification("snapshot", OURS))["SnapshotId"]
    plan = account.plan(account.everything())
    (kept,) = plan.with_status(Status.LEFT)
    assert (kept.resource.id, kept.reason) == (snapshot, "nothing here deletes a snapshot")
    assert account.reap(account.everything()) == []
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]


def test_a_role_of_another_region_stays_where_one_region_is_asked(account: Account) -> None:
    iam = account.api.clients.iam
    for stack in ("reaper.us-east-1", f"reaper.{REGION}", "reaper.lab"):
        name = f"tidemark-{stack.replace('.', '-')}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=pairs(OURS | {"stack": stack}))
    assert [each.stack for each in account.plan(account.everything()).delete] == [f"reaper.{REGION}", "reaper.lab"]

    def refuse(**_: Any) -> None:
        raise denied("GetResources")

    account.client_of(REGION, "resourcegroupstaggingapi").meta.events.register("before-call.*.GetResources", refuse)
    found = account.find()
    assert found.unasked.keys() == {f"{REGION} tagging"}
    plan = make_plan(found.resources, account.everything())
    assert [each.stack for each in plan.delete] == ["reaper.lab"]
    (kept,) = plan.with_status(Status.LEFT)
    assert kept.reason == f"{REGION} tagging did not answer", "a function there may have the role"
