"""The region's API as a server: one call at a time, and a failure of its own is one line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.ec2.responses import EC2Response

from lab import program
from lab.errors import LabError
from lab.stacks import stack_config
from tests.lab.conftest import REGION, Api


def test_calls_are_answered_one_at_a_time(api: Api) -> None:
    """moto's tables, which all threads share, changed while another thread went over them."""
    seen: list[int] = []
    count = 0

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        nonlocal count
        count += 1
        seen.append(count)
        time.sleep(0.02)
        count -= 1
        return []

    watched = api.endpoint._watching(application)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda _: watched({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, list), range(8)))
    assert seen == [1] * 8


def test_an_internal_error_of_the_api_is_one_line(api: Api, lab_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: EC2Response) -> None:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(EC2Response, "describe_vpcs", fails)
    monkeypatch.setattr(EC2Response, "create_vpc", fails)
    journal = program.Journal(lab_folder / "journal.ndjson")
    config = stack_config("md-raid.lab", api.url)
    with pytest.raises(LabError, match=r"^md-raid-network-vpc .*: the region's API failed; see region\.log$") as fault:
        program.run_program("md-raid.lab", config, api.url, REGION, journal, lambda _: None)
    assert "\n" not in str(fault.value)
