"""What a run costs, said on its page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.format import MISSING
from report.page import cost_text
from report.runs import parse_manifest
from tests.report.run_builder import RunBuilder

COST = {"usd_per_hour": 7.2, "prices_of": "2025-06", "besides": []}


@pytest.mark.parametrize(
    ("cost", "run_seconds", "says"),
    [
        (COST, 600.0, "$7.20 an hour, $1.20 for the time of this run (prices of 2025-06, without traffic and tax)"),
        (COST, None, "$7.20 an hour (prices of 2025-06, without traffic and tax)"),
        ({**COST, "usd_per_hour": 0.017}, 60.0, "$0.02 an hour, $0.00028 for the time of this run (prices of "),
        ({**COST, "besides": ["$0.36 a GiB stored"]}, None, "$7.20 an hour, plus $0.36 a GiB stored (prices of"),
        ({**COST, "usd_per_hour": None}, 60.0, MISSING),
        (None, 60.0, MISSING),
        ("much", 60.0, MISSING),
    ],
)
def test_the_cost_is_said_or_missing(cost: Any, run_seconds: float | None, says: str) -> None:
    builder = RunBuilder(seconds=2)
    on_aws = parse_manifest(
        {**builder.manifest, "rehearsal": False, "inventory": {**builder.manifest["inventory"], "cost": cost}}
    )
    assert cost_text(on_aws, run_seconds).startswith(says)
    rehearsed = dataclasses.replace(on_aws, rehearsal=True)
    words = cost_text(rehearsed, run_seconds)
    assert words == MISSING if says == MISSING else words.startswith(f"nothing: a rehearsal; on AWS it would be {says}")


def test_the_page_says_it(tmp_path: Path) -> None:
    builder = RunBuilder(seconds=2)
    builder.manifest["inventory"]["cost"] = COST
    page = build_report(builder.write(tmp_path)).page.read_text()
    assert "nothing: a rehearsal; on AWS it would be $7.20 an hour" in page
