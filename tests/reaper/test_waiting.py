"""Waiting for what AWS takes a while to let go: by a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from reaper.plan import Resource, Selection, make_plan
from reaper.reap import USUAL_TIMEOUT_SECONDS, Reaping, Undeleted

TAGS = {"project": "tidemark", "stack": "s.lab", "expires-at": "2020-01-01T00:00:00Z", "data": "disposable"}
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class FakeEc2:
    """One volume and one instance. Each call of a deletion raises the next of `errors`, then it succeeds."""

    def __init__(self, *errors: Exception, states: tuple[str, ...] = ("terminated",)) -> None:
        self.errors = list(errors)
        self.states = list(states)
        self.calls: list[str] = []

    def describe_volumes(self, **_: Any) -> Any:
        return {"Volumes": [{"Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]}]}

    def delete_volume(self, **_: Any) -> None:
        self.calls.append("delete_volume")
        if self.errors:
            raise self.errors.pop(0)

    def describe_instances(self, **_: Any) -> Any:
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
        return {"Reservations": [{"Instances": [{"State": {"Name": state}, "Tags": tags}]}]}

    def terminate_instances(self, **_: Any) -> None:
        self.calls.append("terminate_instances")


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "says AWS"}}, "DeleteVolume")


def reap(ec2: FakeEc2, kind: str = "volume", timeout_factor: float = 1.0) -> list[Undeleted]:
    seconds = count(step=10)
    selection = Selection(NOW)
    plan = make_plan([Resource("eu-central-1", kind, "id-1", TAGS)], selection)
    return Reaping(
        plan,
        selection,
        lambda *_: ec2,
        id,
        pause_seconds=0.0,
        timeout_factor=timeout_factor,
        clock=lambda: float(next(seconds)),
    ).run()


@pytest.mark.parametrize("code", ["VolumeInUse", "DependencyViolation", "IncorrectState"])
def test_what_is_still_in_use_is_tried_again(code: str) -> None:
    ec2 = FakeEc2(error(code), error(code))
    assert reap(ec2) == []
    assert ec2.calls == ["delete_volume"] * 3


def test_and_left_when_it_stays_in_use() -> None:
    ec2 = FakeEc2(*[error("VolumeInUse")] * 100)
    (left,) = reap(ec2)
    assert left.reason == "VolumeInUse (says AWS)"
    assert 2 < len(ec2.calls) <= USUAL_TIMEOUT_SECONDS / 10 + 1


@pytest.mark.parametrize(
    "fault", [error("UnauthorizedOperation"), error("OperationNotPermitted"), EndpointConnectionError(endpoint_url="x")]
)
def test_a_refusal_is_final(fault: Exception) -> None:
    ec2 = FakeEc2(fault)
    (left,) = reap(ec2)
    assert left.resource.id == "id-1"
    assert ec2.calls == ["delete_volume"]


def test_what_is_gone_already_is_no_fault() -> None:
    assert reap(FakeEc2(error("InvalidVolume.NotFound"))) == []


def test_an_instance_is_waited_for_until_it_has_ended() -> None:
    ec2 = FakeEc2(states=("running", "shutting-down", "shutting-down", "shutting-down", "shutting-down", "terminated"))
    assert reap(ec2, "instance") == []
    assert ec2.calls == ["terminate_instances"]


def test_an_instance_that_does_not_end_is_left() -> None:
    (left,) = reap(FakeEc2(states=("shutting-down",)), "instance", timeout_factor=0.1)
    assert left.reason == "it is shutting-down"
