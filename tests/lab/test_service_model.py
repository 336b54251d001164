"""Service models: read strictly, and handed to the front end whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import service_model
from lab.errors import LabError
from lab.service_model import BlockStorageModel, FileSystemModel

WHOLE: dict[str, Any] = {
    "kind": "file-system",
    "name": "slow",
    "delay_seconds": 0.02,
    "read_ops_per_s": 500,
    "write_ops_per_s": 100,
    "bytes_per_s": 1_000_000,
    "metering_minimum_bytes": 1,
}


def test_the_model_of_2018_is_what_was_published() -> None:
    model = service_model.load("efs-2018")
    assert isinstance(model, FileSystemModel)
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
    assert isinstance(model, FileSystemModel)
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
    path.write_text('kind = "file-system"\nname = "mine"\ndelay_seconds = 0\nmetering_minimum_bytes = 1\n')
    model = service_model.load(str(path))
    assert isinstance(model, FileSystemModel)
    assert (model.name, model.read_ops_per_s) == ("mine", None)
    path.write_text("name = ")
    with pytest.raises(LabError, match="not TOML"):
        service_model.load(str(path))


def test_an_unknown_name_shows_those_that_are_known() -> None:
    with pytest.raises(LabError, match="give one of none, ebs-2015-c4, efs-2018"):
        service_model.load("efs-1999")


def test_half_of_a_model_is_its_delay_alone() -> None:
    model = service_model.from_dict(WHOLE, "test")
    assert isinstance(model, FileSystemModel)
    half_delay = model.with_half_delay()
    assert half_delay.delay_seconds == WHOLE["delay_seconds"] / 2
    assert (half_delay.read_ops_per_s, half_delay.write_ops_per_s, half_delay.bytes_per_s) == (None, None, None)
    assert service_model.from_dict(half_delay.to_dict(), "test") == half_delay, "the region takes it"


# --- block storage ---------------------------------------------------------------------------------------

BLOCK: dict[str, Any] = {
    "kind": "block-storage",
    "name": "blocks",
    "scale": 20,
    "instance": [{"type": "large", "network_bytes_per_s": 1_000_000}, {"type": "small", "ebs_bytes_per_s": 500_000}],
    "volume": [{"type": "gp2", "bytes_per_s": 100_000, "ops_per_s": 3000, "burst_credits": 9000}],
}


def test_the_model_of_2015_is_a_twentieth_of_what_was_published() -> None:
    model = service_model.load("ebs-2015-c4")
    assert isinstance(model, BlockStorageModel)
    host, volume = model.instance("c4.8xlarge"), model.volume("gp2")
    assert host is not None
    assert volume is not None
    assert (host.network_bytes_per_s or 0) / model.scale == 62_500_000
    assert (host.ebs_bytes_per_s or 0) / model.scale == 25_000_000
    assert ((volume.bytes_per_s or 0) / model.scale, (volume.ops_per_s or 0) / model.scale) == (5_000_000, 150)
    # EBS User Guide: 3 IOPS a GiB and 100 at least; 5.4 million credits.
    assert [volume.base_ops_per_s(size) for size in (8, 50, 1000)] == [100, 150, 3000]
    assert model.in_words() == (
        "c4.8xlarge network 62.5 MB/s, c4.8xlarge EBS link 25 MB/s, gp2 5 MB/s, gp2 150 op/s, at a scale of 1:20"
    )


def test_a_model_of_blocks_goes_through_plain_values_and_back() -> None:
    model = service_model.from_dict(BLOCK, "test")
    assert service_model.from_dict(model.to_dict(), "test") == model
    assert isinstance(model, BlockStorageModel)
    assert model.instance("medium") is None
    assert model.volume("io1") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "nfs"}, 'kind is "nfs"; expected "file-system" or "block-storage"'),
        ({"kind": None}, 'kind is missing; expected "file-system" or "block-storage"'),
        ({"kind": "file-system"}, "scale is not a field"),
        ({"scale": 0}, "scale is 0; expected a number from 1 to 1000000"),
        ({"instance": [{"type": "a"}, {"type": "a"}]}, "instance[1].type is a, as is instance[0].type"),
        (
            {"volume": [{"type": "gp2", "byte_per_s": 3}]},
            "volume[0].byte_per_s is not a field; did you mean bytes_per_s?",
        ),
        ({"volume": [{"type": "gp2", "ops_per_s": 0}]}, "volume[0].ops_per_s is 0; expected a whole number"),
        ({"volume": "gp2"}, 'volume is "gp2"; expected a list of tables [[volume]]'),
    ],
)
def test_a_field_of_blocks_at_fault_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match="test: ") as fault:
        service_model.from_dict({**BLOCK, **changes}, "test")
    assert words in str(fault.value)
