"""iscsi-tunnel's summary, verdicts and page, from runs whose figures are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from report.build import Report, build_report
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN
from tests.report.tunnel_run_builder import SIZE_BYTES, TunnelRunBuilder


def report_of(tmp_path: Path, change: Callable[[TunnelRunBuilder], None] = lambda _: None) -> Report:
    builder = TunnelRunBuilder()
    change(builder)
    return build_report(builder.write(tmp_path))


def verdicts(report: Report) -> dict[str, str]:
    return {verdict.claim.id.partition("/")[2]: verdict.verdict for verdict in report.verdicts}


def test_the_price_is_what_the_tunnel_leaves(tmp_path: Path) -> None:
    prices = {(price.op, price.pattern): price for price in report_of(tmp_path).summary.prices}
    reads, writes, random = prices["read", "sequential"], prices["write", "sequential"], prices["read", "random"]
    assert reads.tunnel_mib_per_s == pytest.approx(80)
    assert reads.tunnel_to_direct_ratio == pytest.approx(0.4)
    assert reads.tunnel_to_ssh_ratio == pytest.approx(0.8)
    assert writes.tunnel_to_ssh_ratio == pytest.approx(0.8)
    assert random.tunnel_to_direct_ratio == pytest.approx(0.5)
    assert random.ssh_mib_per_s is None, "a stream has no random requests"
    assert random.tunnel_to_ssh_ratio is None


def test_all_three_claims_hold(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    assert verdicts(report) == {"only-ssh": HOLDS, "size-matches": HOLDS, "clean-detach": HOLDS}
    assert report.summary.attaching.seen_bytes == SIZE_BYTES
    assert report.summary.only_ssh.ports_tried == 6
    assert report.summary.problems == []


def _reached(builder: TunnelRunBuilder) -> None:
    proof = next(each for each in builder.streams["proofs"] if each["proof"] == "closed-port")
    proof |= {"passed": False, "reached": 1}


def _no_third(builder: TunnelRunBuilder) -> None:
    builder.streams["proofs"] = [each for each in builder.streams["proofs"] if each["from"] != "third"]


def _no_control(builder: TunnelRunBuilder) -> None:
    proof = next(each for each in builder.streams["proofs"] if each["proof"] == "closed-port")
    proof |= {"passed": False}


def _readable(builder: TunnelRunBuilder) -> None:
    builder.streams["proofs"][0]["readable_packets"] = 1


def _unseen(builder: TunnelRunBuilder) -> None:
    builder.streams["proofs"][0]["unseen_packets"] = 7


def _listens_elsewhere(builder: TunnelRunBuilder) -> None:
    proof = next(each for each in builder.streams["proofs"] if each["proof"] == "listeners")
    proof |= {"passed": False}


def _not_counted(builder: TunnelRunBuilder) -> None:
    del builder.streams["proofs"][0]["other_packets"]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (_reached, DIFFERS),
        (_readable, DIFFERS),
        (_unseen, DIFFERS),
        (_listens_elsewhere, DIFFERS),
        (_no_third, NOT_JUDGED),
        (_no_control, NOT_JUDGED),
        (_not_counted, NOT_JUDGED),
    ],
)
def test_only_ssh_can_fail(tmp_path: Path, change: Callable[[TunnelRunBuilder], None], verdict: str) -> None:
    assert verdicts(report_of(tmp_path, change))["only-ssh"] == verdict


def test_a_size_that_differs_once_differs(tmp_path: Path) -> None:
    def change(builder: TunnelRunBuilder) -> None:
        builder.streams["attachments"][0]["size_bytes"] -= 512

    assert verdicts(report_of(tmp_path, change))["size-matches"] == DIFFERS


def test_something_left_behind_is_no_clean_detach(tmp_path: Path) -> None:
    def change(builder: TunnelRunBuilder) -> None:
        builder.streams["attachments"][1]["gone"] = False

    assert verdicts(report_of(tmp_path, change))["clean-detach"] == DIFFERS


def test_a_run_that_was_cut_short_has_no_verdicts(tmp_path: Path) -> None:
    def change(builder: TunnelRunBuilder) -> None:
        builder.streams = {name: [] for name in builder.streams}

    report = report_of(tmp_path, change)
    assert set(verdicts(report).values()) == {NOT_RUN}
    assert report.summary.attaching.seen_bytes is None
    assert report.figures == []
    assert not (report.run.path / "figures").exists()


def test_a_cell_that_failed_has_its_reason_and_no_figure(tmp_path: Path) -> None:
    def change(builder: TunnelRunBuilder) -> None:
        builder.streams["cells"][0] |= {"complete": False, "reason": "3 requests failed"}

    (cell, *_) = report_of(tmp_path, change).summary.cells
    assert (cell.mib_per_s, cell.reason) == (None, "3 requests failed")


def test_losses_are_counted_from_the_cut(tmp_path: Path) -> None:
    summary = report_of(tmp_path).summary
    assert [(loss.how, loss.longest_stall_s, loss.errors) for loss in summary.losses] == [
        ("ssh-killed", 3.0, 0),
        ("path-cut", 31.0, 0),
    ]
    assert [second.t_s for second in summary.timeline if second.how == "path-cut"] == [-1.5, -0.5, 0.5, 1.5, 2.5]


def test_the_page_shows_it(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    page = report.page.read_text()
    for words in ("What the tunnel costs", "iscsi-tunnel/only-ssh", "path was cut", "rehearsal", "0.80"):
        assert words in page
    assert {path.name for path in report.figures} >= {"tunnel-rates.svg", "tunnel-losses.svg"}
    assert "http://" not in page.replace("http://www.w3.org", "")
