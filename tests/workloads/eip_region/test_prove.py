"""The proof: what is asked, what is recorded, and that the throw-away allocation is thrown away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.workloads.eip_region.world import World
from tests.workloads.fake_clock import FakeClock
from workloads.aws import ec2_client
from workloads.deployment import local_versions
from workloads.eip_region import address
from workloads.eip_region import prove as proofs
from workloads.eip_region.address import NOT_FOUND, ApiCall, until_known
from workloads.eip_region.context import Context
from workloads.eip_region.prove import prove
from workloads.errors import WorkloadError
from workloads.results import Results

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client


@pytest.fixture
def context(world: World) -> Context:
    world.give_to("host-1")
    made = world.context()
    made.results = Results.start(made.inventory, versions=local_versions())
    return made


@pytest.fixture
def elsewhere(account: None) -> EC2Client:
    return boto3.client("ec2", region_name="us-east-1")


def addresses(ec2: EC2Client) -> list[str]:
    return [address["AllocationId"] for address in ec2.describe_addresses()["Addresses"]]


def test_refused_and_nothing_left(context: Context, world: World, elsewhere: EC2Client) -> None:
    assert prove(context)
    assert addresses(elsewhere) == []
    assert world.holder() == "host-1"
    assert context.results is not None
    own, *foreign = context.results.records("associations")
    assert (own["allocation_region"], own["code"], own["host"]) == ("eu-central-1", None, "host-1")
    assert {(each["allocation_region"], each["code"], each["host"]) for each in foreign} == {
        ("us-east-1", NOT_FOUND, "host-2")
    }
    assert len(foreign) >= 2, "an allocation that is seconds old is asked for again"
    assert foreign[-1]["age_s"] >= context.pace.settle_seconds
    (proof,) = context.results.records("proofs")
    assert proof["passed"] is True
    assert proof["proof"] == "cross-region-refused"


def test_what_a_killed_run_left_is_released(
    context: Context, elsewhere: EC2Client, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = elsewhere.allocate_address(Domain="vpc")["AllocationId"]
    # As if a process had died after the allocation: its tags are what the next one finds it by.
    tags: Any = [{"ResourceType": "elastic-ip", "Tags": proofs._tags(context)}]
    killed = elsewhere.allocate_address(Domain="vpc", TagSpecifications=tags)["AllocationId"]
    assert prove(context)
    assert f"{killed} in us-east-1 was left by another run: releasing it" in capsys.readouterr().out
    assert addresses(elsewhere) == [kept]


def test_a_failure_in_between_releases_it_too(
    context: Context, elsewhere: EC2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bool:
        raise WorkloadError("out of order", "repair it")

    monkeypatch.setattr(proofs, "_is_there", fail)
    with pytest.raises(WorkloadError, match="out of order"):
        prove(context)
    assert addresses(elsewhere) == []


def test_an_association_that_was_thought_impossible_is_told_and_undone(
    context: Context, world: World, elsewhere: EC2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The "other region" is this one: the API has nothing against it."""
    monkeypatch.setattr(proofs, "FOREIGN_REGIONS", ("eu-west-1",))
    monkeypatch.setattr(proofs, "ec2_client", lambda _: world.ec2)
    assert not prove(context)
    assert context.results is not None
    assert context.results.records("associations")[-1]["code"] is None
    assert context.results.records("proofs")[0]["passed"] is False
    assert addresses(world.ec2) == [world.allocation_id]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AddressLimitExceeded", "us-east-1 has as many Elastic IPs as its quota allows, and the proof needs one"),
        ("UnauthorizedOperation", "an allocation in us-east-1 is refused (UnauthorizedOperation)"),
    ],
)
def test_no_allocation_to_be_had(
    code: str, words: str, context: Context, elsewhere: EC2Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise error(code)

    monkeypatch.setattr(elsewhere, "allocate_address", refuse)
    monkeypatch.setattr(proofs, "ec2_client", lambda region: elsewhere if region == "us-east-1" else ec2_client(region))
    with pytest.raises(WorkloadError) as refused:
        prove(context)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("call", "ask", "fault", "words"),
    [
        (
            "allocate_address",
            lambda context, ec2: proofs.throw_away(context, ec2, "us-east-1").__enter__(),
            EndpointConnectionError(endpoint_url="https://ec2.us-east-1.amazonaws.com"),
            "an allocation in us-east-1: EC2 cannot be asked (Could not connect to the endpoint URL",
        ),
        (
            "describe_addresses",
            lambda _, ec2: proofs._is_there(ec2, "eipalloc-1"),
            ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}}, "DescribeAddresses"),
            "eipalloc-1 in us-east-1: EC2 answers RequestLimitExceeded (slow down)",
        ),
    ],
    ids=["no connection", "too many requests"],
)
def test_an_api_that_does_not_answer_is_one_line(
    call: str,
    ask: Callable[[Context, EC2Client], object],
    fault: Exception,
    words: str,
    context: Context,
    elsewhere: EC2Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(**_: Any) -> None:
        raise fault

    monkeypatch.setattr(elsewhere, call, fails)
    with pytest.raises(WorkloadError) as refused:
        ask(context, elsewhere)
    assert str(refused.value).startswith(words)


def error(code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}}
    return ClientError(answer, "AssociateAddress")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(address, "time", made)
    return made


class TestUntilKnown:
    def attempts(
        self, clock: FakeClock, answers: list[str | None], unknown_seconds: float
    ) -> tuple[list[str | None], float]:
        """The codes that were told, and how long it took."""
        began_s = clock.time()
        left = iter(answers)
        told: list[str | None] = []

        def call() -> None:
            code = next(left)
            if code is not None:
                raise error(code)

        def attempted(_: ApiCall, code: str | None) -> None:
            told.append(code)

        until_known(call, unknown_seconds, attempted)
        return told, clock.time() - began_s

    def test_a_young_one_becomes_known(self, clock: FakeClock) -> None:
        assert self.attempts(clock, [NOT_FOUND, NOT_FOUND, None], 10) == ([NOT_FOUND, NOT_FOUND, None], 2)

    def test_one_that_stays_unknown_is_decided_when_it_is_old_enough(self, clock: FakeClock) -> None:
        with pytest.raises(ClientError, match="NotFound"):
            self.attempts(clock, [NOT_FOUND] * 4, 3)
        with pytest.raises(ClientError, match="NotFound"):
            self.attempts(clock, [NOT_FOUND], 0)

    def test_a_slow_answer_makes_no_question_older(self, clock: FakeClock) -> None:
        began_s, ages = clock.time(), list[float]()

        def call() -> None:
            clock.sleep(4)
            raise error(NOT_FOUND)

        with pytest.raises(ClientError, match="NotFound"):
            until_known(call, 3, lambda asked, _: ages.append(asked.asked_unix_s - began_s))
        assert ages == [0, 5]

    def test_another_error_is_no_matter_of_age(self, clock: FakeClock) -> None:
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            self.attempts(clock, [NOT_FOUND, "UnauthorizedOperation"], 10)
