"""What an account's own settings forbid: refused before anything is created, and a note where it can't be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.exceptions
import pulumi
import pytest

from aws_offers import INSTANCE_TYPES as KNOWN
from components import account_limits, region_validation
from components.account_limits import check_account, check_image_allowed
from components.aws_settings import AwsSettings
from components.config import CommonConfig, PublicKey
from components.region_validation import ACCOUNT_SOURCE, region_from_table
from components.settings import Settings
from tests.components.stack_program import Run, config_with, run_program

STACK = "md-raid.eu-west-1"
MD_RAID = {"c4.8xlarge": 4}
OWN = [{"Key": "project", "Value": "tidemark"}, {"Key": "stack", "Value": STACK}]


def running(instance_type: str, cores: int, threads: int, **more: Any) -> dict[str, Any]:
    return {"InstanceType": instance_type, "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": threads}, **more}


def client_error(code: str, operation: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Account:
    """EC2 and Service Quotas of one account. `denied` names calls that are refused."""

    def __init__(
        self,
        *,
        quota: float = 1000.0,
        instances: tuple[dict[str, Any], ...] = (),
        block: str | None = "off",
        allowed_images: str = "disabled",
        images: tuple[dict[str, Any], ...] | None = (),
        denied: tuple[str, ...] = (),
    ) -> None:
        self.quota, self.instances, self.block = quota, instances, block
        self.allowed_images, self.images, self.denied = allowed_images, images, denied

    def ask(self, call: str) -> None:
        if call in self.denied:
            raise client_error("AccessDeniedException", call)

    def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Any:
        self.ask("GetServiceQuota")
        assert (ServiceCode, QuotaCode) == ("ec2", "L-1216C47A")
        return {"Quota": {"Value": self.quota}}

    def get_paginator(self, name: str) -> Any:
        assert name == "describe_instances"
        return self

    def paginate(self, *, Filters: Any) -> Any:
        self.ask("DescribeInstances")
        assert Filters == [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        return [{"Reservations": [{"Instances": [instance]}]} for instance in self.instances]

    def describe_vpc_block_public_access_options(self) -> Any:
        self.ask("DescribeVpcBlockPublicAccessOptions")
        return {"VpcBlockPublicAccessOptions": {"InternetGatewayBlockMode": self.block}}

    def get_allowed_images_settings(self) -> Any:
        self.ask("GetAllowedImagesSettings")
        return {"State": self.allowed_images}

    def describe_images(self, *, ImageIds: list[str]) -> Any:
        self.ask("DescribeImages")
        if self.images is None:
            raise client_error("InvalidAMIID.NotFound", "DescribeImages")
        return {"Images": list(self.images)}


def common() -> CommonConfig:
    aws = AwsSettings("eu-west-1", {}, False, None, "key", "secret")
    return CommonConfig("tidemark", STACK, "md-raid", aws, None, "", PublicKey("", ""), None, 4, None)


def check(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    instances: dict[str, int] | None = None,
    cpu_limit: int | None = 4,
) -> tuple[list[str], list[str]]:
    """The faults, without file and key, and the notes."""
    monkeypatch.setattr(account_limits, "make_client", lambda *_: account)
    monkeypatch.setattr(account_limits, "ec2_client", lambda *_: account)
    settings = Settings({}, STACK)
    notes = check_account(settings, common(), KNOWN, MD_RAID if instances is None else instances, cpu_limit)
    return [line.partition("aws:region: ")[2] for line in settings.errors], notes


def test_an_account_that_forbids_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(Account(quota=144), monkeypatch) == ([], [])


def test_a_quota_of_a_new_account_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(Account(quota=5), monkeypatch) == (
        [
            "the hosts take 16 vCPUs and eu-west-1 has 5 left of its quota of 5 (Service Quotas, L-1216C47A); end "
            "other instances, choose another region, or ask for more: aws service-quotas "
            "request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 16 --region "
            "eu-west-1"
        ],
        [],
    )


@pytest.mark.parametrize("quota", [16, 143])
def test_what_fits_by_cpu_options_alone_is_said(quota: int, monkeypatch: pytest.MonkeyPatch) -> None:
    faults, (note,) = check(Account(quota=quota), monkeypatch)
    assert faults == []
    assert note == (
        f"vCPUs: the hosts have 144 by their types and 16 by their CPU options, and eu-west-1 has {quota} left of its "
        f"quota of {quota} (Service Quotas, L-1216C47A); AWS does not say which counts, so it may refuse them "
        "(VcpuLimitExceeded)"
    )


def test_other_instances_count_and_the_stack_s_own_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    others = (
        running("m5.xlarge", 2, 2),
        running("c5.large", 1, 2, Tags=[{"Key": "project", "Value": "shop"}]),
        running("c4.8xlarge", 18, 2, Tags=OWN),
        running("m5.4xlarge", 8, 2, InstanceLifecycle="spot"),
        running("g4dn.xlarge", 2, 2),  # has a quota of its own
        running("inf1.xlarge", 2, 2),
    )
    assert check(Account(quota=150, instances=others), monkeypatch) == ([], [])
    assert check(Account(quota=22, instances=others), monkeypatch)[0] == []
    (fault,), _ = check(Account(quota=21, instances=others), monkeypatch)
    assert fault.startswith("the hosts take 16 vCPUs and eu-west-1 has 15 left of its quota of 21")
    assert "--desired-value 22" in fault


def test_without_cpu_options_there_is_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,), notes = check(Account(quota=7), monkeypatch, {"m4.xlarge": 2}, None)
    assert fault.startswith("the hosts take 8 vCPUs and eu-west-1 has 7 left")
    assert notes == []


@pytest.mark.parametrize("mode", ["block-bidirectional", "block-ingress"])
def test_a_region_that_lets_nobody_in(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(Account(block=mode), monkeypatch) == (
        [
            f"VPC Block Public Access is on in eu-west-1 ({mode}): nobody could reach the hosts; choose another "
            "region, or switch it off: aws ec2 modify-vpc-block-public-access-options "
            "--internet-gateway-block-mode off --region eu-west-1"
        ],
        [],
    )


def test_an_unknown_mode_is_neither_on_nor_off(monkeypatch: pytest.MonkeyPatch) -> None:
    faults, notes = check(Account(block="block-egress"), monkeypatch)
    assert faults == []
    assert notes == [
        "VPC Block Public Access is block-egress in eu-west-1, which is not known here: the hosts may be unreachable"
    ]


def test_what_may_not_be_asked_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = ("GetServiceQuota", "DescribeVpcBlockPublicAccessOptions")
    assert check(Account(quota=1, denied=denied), monkeypatch) == (
        [],
        [
            "the quota of vCPUs could not be looked up (AccessDeniedException)",
            "VPC Block Public Access could not be looked up (AccessDeniedException)",
        ],
    )


def test_what_does_not_answer_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()

    def nobody(**_: Any) -> Any:
        raise botocore.exceptions.EndpointConnectionError(endpoint_url="https://servicequotas.example.org")

    monkeypatch.setattr(account, "get_service_quota", nobody)
    assert check(account, monkeypatch) == ([], ["the quota of vCPUs could not be looked up (EndpointConnectionError)"])


class TestProgram:
    """The same as the program asks, before it declares anything."""

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch, public_key_file: Path) -> Callable[[Account], Run]:
        def of(account: Account) -> Run:
            monkeypatch.setattr(account_limits, "make_client", lambda *_: account)
            monkeypatch.setattr(account_limits, "ec2_client", lambda *_: account)
            answer = replace(region_from_table("eu-west-1", KNOWN), source=ACCOUNT_SOURCE)
            monkeypatch.setattr(region_validation, "describe_region", lambda *_: answer)
            keys: dict[str, str | None] = {"aws:accessKey": "key", "aws:secretKey": "secret"}
            return run_program(Run(), config_with(STACK, keys, public_key_file), STACK)

        return of

    def test_a_fault_creates_nothing(self, run: Callable[[Account], Run]) -> None:
        with pytest.raises(pulumi.RunError, match=r"aws:region: the hosts take 16 vCPUs"):
            run(Account(quota=5))
        hidden = Account(allowed_images="enabled", images=None)
        with pytest.raises(pulumi.RunError, match=r"aws:region: Allowed AMIs is on in eu-west-1"):
            run(hidden)

    def test_notes_are_told_first(self, run: Callable[[Account], Run]) -> None:
        denied = ("GetServiceQuota", "DescribeVpcBlockPublicAccessOptions", "GetAllowedImagesSettings")
        done = run(Account(denied=denied))
        what = ("the quota of vCPUs", "VPC Block Public Access", "Allowed AMIs")
        assert done.lines[:3] == [f"{each} could not be looked up (AccessDeniedException)" for each in what]
        assert done.lines[3].startswith("cost: ")
        assert done.of(":Instance")


class TestImage:
    def check(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
        monkeypatch.setattr(account_limits, "ec2_client", lambda *_: account)
        settings = Settings({}, STACK)
        notes = check_image_allowed(settings, common(), "ami-1")
        return [line.partition("aws:region: ")[2] for line in settings.errors], notes

    @pytest.mark.parametrize(
        "account",
        [
            Account(allowed_images="disabled", images=None),
            Account(allowed_images="audit-mode", images=({"ImageAllowed": False},)),
            Account(allowed_images="enabled", images=({"ImageAllowed": True},)),
        ],
    )
    def test_allowed(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.check(account, monkeypatch) == ([], [])

    @pytest.mark.parametrize("images", [None, (), ({"ImageAllowed": False},)])
    def test_not_allowed(self, images: tuple[dict[str, Any], ...] | None, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.check(Account(allowed_images="enabled", images=images), monkeypatch) == (
            [
                "Allowed AMIs is on in eu-west-1 and does not allow Debian's image ami-1; allow its owner 136693071363 "
                "beside what `aws ec2 get-allowed-images-settings --region eu-west-1` shows"
            ],
            [],
        )

    @pytest.mark.parametrize("denied", ["GetAllowedImagesSettings", "DescribeImages"])
    def test_what_may_not_be_asked_is_a_note(self, denied: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.check(Account(allowed_images="enabled", denied=(denied,)), monkeypatch) == (
            [],
            ["Allowed AMIs could not be looked up (AccessDeniedException)"],
        )
