"""`fab account.check`: what an account still holds, against moto's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from reaper import find
from reaper.find import ClientOf, enabled_regions, made_once
from tests.instances import launch
from tests.lab.conftest import Api, api, api_over_http
from workloads import account
from workloads.account import expiry_words, left_in, regions_to_ask
from workloads.aws import aws_client
from workloads.console import Console
from workloads.errors import WorkloadError

__all__ = ["api", "api_over_http"]

TAGS = {"project": "tidemark", "stack": "efs-iops.eu-central-1", "expires-at": "2020-01-01T00:00:00Z"}
OTHERS = {"project": "somebody-else", "stack": "theirs"}
NOW = datetime(2020, 1, 1, 12, tzinfo=UTC)


REGIONS = ["eu-central-1", "eu-west-1", "us-east-1"]


@pytest.fixture(autouse=True)
def aws(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty account in three regions."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for module in (account, find):
        monkeypatch.setattr(module, "enabled_regions", lambda _: REGIONS)


def pairs(tags: dict[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def client(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]  # the name is not a literal


def volume(region: str, tags: dict[str, str]) -> str:
    specification = [{"ResourceType": "volume", "Tags": pairs(tags)}]
    made = client("ec2", region).create_volume(AvailabilityZone=f"{region}a", Size=1, TagSpecifications=specification)
    return str(made["VolumeId"])


def test_an_account_without_anything_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    volume("eu-west-1", OTHERS)
    account.check(None)
    said = capsys.readouterr().out
    assert "nothing of tidemark is left in the 3 regions that answered" in said


def test_all_enabled_regions_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "enabled_regions", enabled_regions)
    found = regions_to_ask(None, made_once(aws_client))
    assert {"eu-central-1", "us-east-1"} <= set(found)
    assert found == sorted(found)


def test_what_is_left_in_any_region_is_listed_with_its_stack_and_expiry(capsys: pytest.CaptureFixture[str]) -> None:
    here = volume("eu-central-1", TAGS)
    there = volume("us-east-1", {"project": "tidemark"})
    system = client("efs", "eu-central-1").create_file_system(CreationToken="x", Tags=pairs(TAGS))["FileSystemId"]
    with pytest.raises(WorkloadError, match="3 of tidemark's resources still there in the 3 regions"):
        account.check(None)
    words = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    begins = {
        f"left eu-central-1 efs-iops.eu-central-1 volume {here} EXPIRED",
        f"left eu-central-1 efs-iops.eu-central-1 file system {system} EXPIRED",
        f"left us-east-1 no stack volume {there} with no expiry",
    }
    assert {begin for begin in begins if any(line.startswith(begin) for line in words)} == begins


def test_a_role_that_is_left_belongs_to_no_region(capsys: pytest.CaptureFixture[str]) -> None:
    trust = '{"Version": "2012-10-17", "Statement": []}'
    for name, tags in (("tidemark-a-role", TAGS), ("tidemark-another", OTHERS), ("theirs", TAGS)):
        client("iam", "us-east-1").create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=pairs(tags))
    with pytest.raises(WorkloadError, match="1 of tidemark's resources still there"):
        account.check(None)
    assert "global          efs-iops.eu-central-1      role tidemark-a-role" in capsys.readouterr().out
    account.check("eu-central-1")


def test_one_region_alone() -> None:
    volume("us-east-1", TAGS)
    account.check("eu-central-1")
    with pytest.raises(WorkloadError, match="1 of tidemark's resources still there in us-east-1: efs"):
        account.check("us-east-1")


def test_terminated_instances_do_not_count() -> None:
    ec2 = client("ec2", "eu-central-1")
    (instance,) = launch(ec2, tags=TAGS)

    def instances() -> list[tuple[str, str]]:
        _, found = account.look(Console(), "eu-central-1")
        return [(each.id, each.stack) for each in left_in(found, "eu-central-1") if each.kind == "instance"]

    assert instances() == [(instance, TAGS["stack"])]
    ec2.terminate_instances(InstanceIds=[instance])
    assert instances() == []


def refusing(*regions: str) -> ClientOf:
    """Clients whose services do not answer in these regions."""

    def make(region: str, service: str) -> Any:
        if region in regions:
            raise NoCredentialsError
        return aws_client(region, service)

    return made_once(make)


def test_a_region_that_can_not_be_asked_is_named() -> None:
    services = ", ".join(f"eu-west-1 {service}" for service in ("EC2", "EFS", "tagging"))
    with pytest.raises(WorkloadError, match=f"in the 2 regions that answered; not asked: {services}; see the reason"):
        account.check(None, refusing("eu-west-1"))


def test_without_an_answer_nothing_is_said_of_what_is_left() -> None:
    with pytest.raises(WorkloadError, match=r"eu-west-1 EC2, .*could not be asked what is left; see the reason above"):
        account.check("eu-west-1", refusing("eu-west-1"))


@pytest.mark.parametrize("name", ["mars", "eu-central-1a", "-r", ""])
def test_what_is_no_region_is_refused(name: str) -> None:
    with pytest.raises(WorkloadError, match="is not the name of a region"):
        account.check(name)


@pytest.mark.parametrize(
    ("expires_at", "words"),
    [
        ("2020-01-01T11:59:00Z", "EXPIRED 60 s ago"),
        ("2020-01-01T13:00:00Z", "expires in 60 minutes"),
        ("2020-01-02T12:00:00Z", "expires in 24 hours"),
        (None, "with no expiry"),
        ("soon", "with an expiry that the reaper can't read: 'soon'"),
        ("2020-W01", "with an expiry that the reaper can't read: '2020-W01'"),  # what Python's own parser reads
        ("2020-01-02T12:00:00", "with an expiry that the reaper can't read: '2020-01-02T12:00:00'"),
    ],
)
def test_expiry_in_words(expires_at: str | None, words: str) -> None:
    assert expiry_words(expires_at, NOW) == f"  {words}"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("AWS_ENDPOINT_URL", "localhost:4566", "Invalid endpoint: localhost:4566"),
        ("AWS_ENDPOINT_URL", "http://[localhost:4566", "Invalid IPv6 URL"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "soon", "invalid literal .* 'soon'"),
    ],
)
def test_a_wrong_setting_of_boto3_is_one_line(
    name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # else it is one that has read its settings
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")  # with a key, the metadata service is not asked
    with pytest.raises(WorkloadError, match=rf"^EC2: EC2 cannot be asked \({shown}.*\); see your AWS"):
        aws_client("eu-central-1", "ec2")
