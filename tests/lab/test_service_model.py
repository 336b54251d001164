"""Service models: read strictly, and handed to the front end whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import service_model
from lab.errors import LabError

WHOLE: dict[str, Any] = {
    "name": "slow",
    "delay_seconds": 0.02,
    "read_ops_per_s": 500,
    "write_ops_per_s": 100,
    "bytes_per_s": 1_000_000,
    "metering_minimum_bytes": 1,
}


def test_the_model_of_2018_is_what_was_published() -> None:
    model = service_model.load("efs-2018")
    assert model is not None
    assert model.command() == {
        "delay_ns": 7_000_000,
        "read_ops_per_s": 3500,
        "write_ops_per_s": 3000,
        "bytes_per_s": 100 * 1024**2,
        "metering_minimum_bytes": 4096,
    }


def test_none_is_no_model() -> None:
    assert service_model.load("none") is None


def test_a_model_goes_through_plain_values_and_back() -> None:
    model = service_model.from_dict(WHOLE, "test")
    assert service_model.from_dict(model.to_dict(), "test") == model


def test_a_limit_may_be_absent() -> None:
    model = service_model.from_dict({k: v for k, v in WHOLE.items() if k != "bytes_per_s"}, "test")
    assert model.bytes_per_s is None
    assert model.read_ops_per_s == 500


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, 'name is ""; expected a name, other than none'),
        ({"name": "none"}, 'name is "none"; expected a name, other than none'),
        ({"delay_seconds": -1}, "delay_seconds is -1"),
        ({"delay_seconds": True}, "delay_seconds is true; expected a number of seconds from 0 to 10"),
        ({"delay_seconds": float("nan")}, "delay_seconds is nan"),
        ({"read_ops_per_s": 0}, "read_ops_per_s is 0"),
        ({"write_ops_per_s": 1.5}, "write_ops_per_s is 1.5"),
        ({"metering_minimum_bytes": None}, "metering_minimum_bytes is null"),
        ({"delay_ms": 7}, "delay_ms is not a field; did you mean delay_seconds?"),
    ],
)
def test_a_field_at_fault_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match="test: ") as fault:
        service_model.from_dict({**WHOLE, **changes}, "test")
    assert words in str(fault.value)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ndelay_seconds = 0\nmetering_minimum_bytes = 1\n')
    model = service_model.load(str(path))
    assert model is not None
    assert (model.name, model.read_ops_per_s) == ("mine", None)
    path.write_text("name = ")
    with pytest.raises(LabError, match="not TOML"):
        service_model.load(str(path))


def test_an_unknown_name_shows_those_that_are_known() -> None:
    with pytest.raises(LabError, match="give one of none, efs-2018"):
        service_model.load("efs-1999")


def test_half_of_a_model_is_its_delay_alone() -> None:
    half_delay = service_model.from_dict(WHOLE, "test").with_half_delay()
    assert half_delay.delay_seconds == WHOLE["delay_seconds"] / 2
    assert (half_delay.read_ops_per_s, half_delay.write_ops_per_s, half_delay.bytes_per_s) == (None, None, None)
    assert service_model.from_dict(half_delay.to_dict(), "test") == half_delay, "the region takes it"
