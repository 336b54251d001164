"""The plan, the options, and what the capture's counts prove, without a host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workloads.call_task import call_task
from workloads.errors import WorkloadError
from workloads.iscsi_tunnel.endpoints import LIMIT_SECONDS
from workloads.iscsi_tunnel.experiment import EXPERIMENT
from workloads.iscsi_tunnel.plan import Plan, cells_of
from workloads.iscsi_tunnel.prove import capture_proof

SHORT = (Plan.folder() / "short.toml").read_text()


def test_both_plans_can_be_read() -> None:
    assert [Plan.load(name).name for name in ("short", "full")] == ["short", "full"]


def test_write_cells_are_left_out_where_something_is_on_the_disk() -> None:
    plan = Plan.load("short")
    assert [cell.name for cell in cells_of(plan, "tunnel", writes=False)] == [
        "tunnel-read-sequential",
        "tunnel-read-random",
        "tunnel-read-single",
    ]
    assert len(cells_of(plan, "direct", writes=True)) == 6


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("depth = 8", "depth = 0", r"plan: pattern\[0\].depth is 0; expected a whole number from 1 to 1024"),
        ("cut_seconds = 20", f"cut_seconds = {LIMIT_SECONDS}", "cut_seconds is 120"),
        (
            "16777216",
            "16777217",
            "written_bytes is 16777217; expected a whole .*, a multiple of 1048576",
        ),
        ("request_bytes = 4096", "request_bytes = 3145728", "multiple of every request_bytes"),
        ('name = "random"', 'name = "backwards"', "expected one of sequential, random, single"),
        ("depth = 1\n", "depth = 2\n", r"pattern\[2\].depth is 2; expected 1 where the pattern is single"),
        ("ssh_seconds = 2", "ssh_seconds = 2\ncolour = 1", "colour is not a field"),
    ],
)
def test_a_wrong_plan_is_one_line(old: str, new: str, words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        Plan.read(SHORT.replace(old, new), "plan")


@pytest.mark.parametrize(
    ("limit", "tun", "words"),
    [
        ("0", None, "--limit 0 is out of range; allowed are 1 to 86400"),
        ("-1", None, "--limit -1 is out of range"),
        ("two", None, "--limit two is out of range"),
        ("5", "-1", "--tun -1 is out of range; allowed are 0 to 9999"),
        (None, "tun3", "--tun tun3 is out of range"),
    ],
)
def test_options_out_of_range(limit: str | None, tun: str | None, words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        call_task(EXPERIMENT, "attach", inventory="no-such-file.json", limit=limit, tun=tun)


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True),
        ({"readable": 1}, False),
        ({"dropped": 1}, False),
        ({"packets": {"tcp-22": 90, "tcp-3260": 1}}, False),
        ({"packets": {"tcp-22": 90, "arp": 3, "icmp": 2, "ipv6-multicast": 1}}, True),
        ({"packets": {"tcp-22": 90, "udp-53": 1}}, False),
        ({"bytes": {"tcp-22": 999}}, False),
    ],
)
def test_a_capture_proves_only_what_it_saw(change: dict[str, Any], passed: bool) -> None:
    """Less SSH than was read from the disk means that it came another way."""
    seen = {"packets": {"tcp-22": 90}, "bytes": {"tcp-22": 5000}, "readable": 0, "dropped": 0, **change}
    assert capture_proof("client", "server", seen, 1000)["passed"] is passed
