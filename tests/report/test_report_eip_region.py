"""eip-region's report: figures from raw records whose answers are known, verdicts, the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from report.build import build_report
from report.eip_region.experiment import summarize
from report.eip_region.moves import distribution
from report.eip_region.schema import Summary
from report.runs import open_run
from report.verdicts import DIFFERS, HOLDS, NOT_JUDGED, NOT_RUN, Verdict

Record = dict[str, Any]
ASKED = 1_780_000_000.0
INTERVAL_S = 0.05
OUT_S = 0.4
"""For so long, from the call on, nobody answers."""
NOT_FOUND = "InvalidAllocationID.NotFound"


def hosts() -> list[Record]:
    return [
        {"name": f"host-{n}", "role": "host", "type": "t3.micro", "zone": f"eu-central-1{zone}", "volumes": []}
        for n, zone in ((1, "a"), (2, "b"))
    ]


def manifest(rehearsal: bool) -> Record:
    stack = "eip-region.lab" if rehearsal else "eip-region.eu-central-1"
    address = {"id": "eipalloc-1", "address": "54.1.2.3", "allocated": True, "reassociate": False}
    return {
        "schema": 1,
        "experiment": "eip-region",
        "stack": stack,
        "region": "eu-central-1",
        "rehearsal": rehearsal,
        "started_at": "2026-11-25T10:30:00Z",
        "finished_at": "2026-11-25T10:31:00Z",
        "plan": {},
        "versions": {},
        "inventory": {"hosts": hosts(), "elastic_ips": [address]},
        "steps": [],
        "status": "complete",
        "reason": None,
    }


def move(number: int, **changes: Any) -> Record:
    there, back = ("host-1", "eu-central-1a"), ("host-2", "eu-central-1b")
    source, target = (there, back) if number % 2 else (back, there)
    asked = ASKED + 10 * number
    made = {
        "move": number,
        "source": source[0],
        "target": target[0],
        "source_zone": source[1],
        "target_zone": target[1],
        "delay_s": 0.02,
        "interval_s": INTERVAL_S,
        "asked_unix_s": asked,
        "answered_unix_s": asked + 0.3,
        "shown_unix_s": asked + 0.5,
        "confirmed_unix_s": asked + 1,
        "rolled_back": False,
        "reason": None,
    }
    return {**made, **changes}


CONNECT_S = 0.002


def probes_of(made: Record, out_s: float = OUT_S, answer_s: float = 0.01) -> list[Record]:
    """A connection each interval: answered by the old host until the call, by nobody for a while, by the new one."""
    found = []
    for n in range(-20, 41):
        started = made["asked_unix_s"] + (n - 0.5) * INTERVAL_S
        since = started - made["asked_unix_s"]
        host = made["source"] if since < 0 else None if since < out_s else made["target"]
        found.append(
            {
                "move": made["move"],
                "started_unix_s": started,
                "connected_unix_s": started + CONNECT_S if host else None,
                "ended_unix_s": started + (answer_s if host else 3),
                "host": host,
                "fault": None if host else "no answer in 3 s",
            }
        )
    return found


def association(region: str, code: str | None, age_s: float, allocation_id: str) -> Record:
    return {
        "t_unix_s": ASKED,
        "answered_unix_s": ASKED + 0.1,
        "allocation_id": allocation_id,
        "allocation_region": region,
        "asked_region": "eu-central-1",
        "host": "host-2",
        "age_s": age_s,
        "code": code,
    }


class Builder:
    """Raw records of a whole run. Change the streams, then write()."""

    def __init__(self, *, rehearsal: bool = False, moves: int = 4) -> None:
        self.manifest = manifest(rehearsal)
        made = [move(number) for number in range(1, moves + 1)]
        self.streams: dict[str, list[Record]] = {
            "associations": [
                association("eu-central-1", None, 0.0, "eipalloc-1"),
                *(association("us-east-1", NOT_FOUND, age, "eipalloc-2") for age in (0.2, 10.0, 30.5)),
            ],
            "moves": made,
            "probes": [probe for each in made for probe in probes_of(each)],
            "proofs": [
                {
                    "t_unix_s": ASKED,
                    "proof": "cross-region-refused",
                    "from": "us-east-1",
                    "to": "host-2",
                    "detail": f"eipalloc-2 of us-east-1: {NOT_FOUND}",
                    "passed": True,
                }
            ],
        }

    def write(self, folder: Path) -> Path:
        path: Path = folder / "eip-region" / self.manifest["stack"] / "2026-11-25T103000Z"
        (path / "raw").mkdir(parents=True)
        (path / "manifest.json").write_text(json.dumps(self.manifest))
        for name, records in self.streams.items():
            text = "".join(json.dumps(record) + "\n" for record in records)
            (path / "raw" / f"{name}.ndjson").write_text(text)
        return path


def summary_of(builder: Builder, tmp_path: Path) -> Summary:
    return summarize(open_run(builder.write(tmp_path)))


def test_a_known_interruption_is_found_again(tmp_path: Path) -> None:
    summary = summary_of(Builder(), tmp_path)
    assert summary.problems == []
    first = summary.moves[0]
    # The last answer before the call, and the first after the time without: half an interval off each.
    assert first.last_old_answer_s == pytest.approx(-0.5 * INTERVAL_S + 0.01, abs=0.001)
    assert first.first_new_answer_s == pytest.approx(OUT_S + 0.5 * INTERVAL_S + 0.01, abs=0.001)
    assert first.silence_s == pytest.approx(OUT_S + INTERVAL_S, abs=0.001)
    assert first.usual_silence_s == pytest.approx(INTERVAL_S, abs=0.001)
    assert first.interruption_s == pytest.approx(OUT_S, abs=0.001)
    assert (first.unanswered, first.connections) == (8, 61)
    assert first.api_answered_s == pytest.approx(0.3, abs=0.001)
    assert first.api_shown_s == pytest.approx(0.5, abs=0.001)
    remap = summary.remap
    assert (remap.moves, remap.completed, remap.across_zones, remap.zones, remap.unanswered) == (4, 4, 4, 2, 32)
    assert remap.interruption_s.count == 4
    assert remap.interruption_s.median == pytest.approx(OUT_S, abs=0.001)
    assert remap.interval_s == INTERVAL_S


def test_a_host_that_is_slow_with_its_key_interrupts_ssh_and_not_tcp(tmp_path: Path) -> None:
    """The new host takes a connection at once, and needs a second more for its first keys."""
    builder = Builder()
    for made in builder.streams["moves"]:
        for probe in builder.streams["probes"]:
            if probe["move"] == made["move"] and probe["host"] == made["target"]:
                probe["ended_unix_s"] += 1.0
    summary = summary_of(builder, tmp_path)
    first = summary.moves[0]
    assert first.tcp_interruption_s == pytest.approx(OUT_S, abs=0.001)
    assert first.interruption_s == pytest.approx(OUT_S + 1.0, abs=0.001)
    assert first.first_new_connection_s == pytest.approx(OUT_S + 0.5 * INTERVAL_S + CONNECT_S, abs=0.001)
    assert first.tcp_usual_silence_s == pytest.approx(INTERVAL_S, abs=0.001)
    assert first.tcp_silence_s == pytest.approx(OUT_S + INTERVAL_S, abs=0.001)
    assert (summary.remap.tcp_interruption_s.count, summary.remap.first_new_connection_s.count) == (4, 4)
    assert summary.remap.tcp_interruption_s.median == pytest.approx(OUT_S, abs=0.001)


@pytest.mark.parametrize("lost", ["null", "absent"])
def test_a_time_that_no_proxy_told_is_missing(lost: str, tmp_path: Path) -> None:
    builder = Builder()
    for probe in builder.streams["probes"]:
        if lost == "null":
            probe["connected_unix_s"] = None
        else:
            probe.pop("connected_unix_s")
    summary = summary_of(builder, tmp_path)
    assert summary.problems == []
    assert summary.moves[0].interruption_s == pytest.approx(OUT_S, abs=0.001)
    assert (summary.moves[0].tcp_interruption_s, summary.remap.tcp_interruption_s.count) == (None, 0)


def test_no_interruption_at_all(tmp_path: Path) -> None:
    builder = Builder(moves=1)
    builder.streams["probes"] = probes_of(builder.streams["moves"][0], out_s=0.0)
    (made,) = summary_of(builder, tmp_path).moves
    assert made.interruption_s == pytest.approx(0, abs=0.001)
    assert made.unanswered == 0


def test_connections_that_were_sent_again_count_as_silence(tmp_path: Path) -> None:
    """None fails: those that began in between are answered by the new host a second later, as by TCP's second SYN."""
    builder = Builder(moves=1)
    (made,) = builder.streams["moves"]
    probes = probes_of(made)
    for probe in probes:
        if probe["host"] is None:
            probe |= {"host": made["target"], "fault": None, "ended_unix_s": probe["started_unix_s"] + 1.01}
    builder.streams["probes"] = probes
    (found,) = summary_of(builder, tmp_path).moves
    assert found.unanswered == 0
    assert found.interruption_s == pytest.approx(OUT_S, abs=0.001), "the first answer ends it, whoever began when"


def test_a_move_that_was_taken_back(tmp_path: Path) -> None:
    builder = Builder(moves=2)
    builder.streams["moves"][1] |= {
        "rolled_back": True,
        "reason": "host-1 did not answer for 30 s",
        "confirmed_unix_s": None,
    }
    builder.streams["probes"] = [p for p in builder.streams["probes"] if (p["move"], p["host"]) != (2, "host-1")]
    summary = summary_of(builder, tmp_path)
    taken_back = summary.moves[1]
    assert (taken_back.rolled_back, taken_back.first_new_answer_s, taken_back.interruption_s) == (True, None, None)
    assert (summary.remap.moves, summary.remap.completed, summary.remap.rolled_back) == (2, 1, 1)
    assert summary.remap.interruption_s.count == 1


def test_the_refusal(tmp_path: Path) -> None:
    refusal = summary_of(Builder(), tmp_path).refusal
    assert refusal.foreign is not None
    assert refusal.own is not None
    assert (refusal.refused, refusal.associations, refusal.own_associated) == (True, 0, True)
    assert (refusal.foreign.attempts, refusal.foreign.codes, refusal.foreign.oldest_age_s) == (3, [NOT_FOUND], 30.5)
    assert (refusal.own.codes, refusal.own.oldest_age_s) == (["associated"], None)


@pytest.mark.parametrize(
    ("last", "refused", "associations"), [(None, False, 1), ("UnauthorizedOperation", False, 0), (NOT_FOUND, True, 0)]
)
def test_only_that_one_code_is_a_refusal(last: str | None, refused: bool, associations: int, tmp_path: Path) -> None:
    builder = Builder()
    builder.streams["associations"][-1]["code"] = last
    found = summary_of(builder, tmp_path).refusal
    assert (found.refused, found.associations) == (refused, associations)


def verdicts_of(builder: Builder, tmp_path: Path) -> dict[str, Verdict]:
    made = build_report(builder.write(tmp_path))
    return {verdict.claim.id: verdict for verdict in made.verdicts}


def test_on_aws_both_hold(tmp_path: Path) -> None:
    found = verdicts_of(Builder(), tmp_path)
    assert {claim: (each.verdict, each.measured) for claim, each in found.items()} == {
        "eip-region/cross-region-refused": (HOLDS, 0),
        "eip-region/cross-az-remaps": (HOLDS, 2),
    }


def test_a_rehearsal_says_nothing_of_aws_and_shows_what_it_measured(tmp_path: Path) -> None:
    found = verdicts_of(Builder(rehearsal=True), tmp_path)
    assert {each.verdict for each in found.values()} == {NOT_JUDGED}
    assert (
        found["eip-region/cross-region-refused"].detail == "needs AWS: in a rehearsal moto answers in the place of EC2"
    )
    page = next(tmp_path.glob("*/*/*/report.html")).read_text()
    assert "REHEARSAL" in page
    assert "400 ms" in page


def associated(builder: Builder) -> None:
    builder.streams["associations"][-1]["code"] = None


def taken_back(builder: Builder) -> None:
    builder.streams["moves"][0] |= {"rolled_back": True, "reason": "host-2 did not answer for 30 s"}


def in_one_zone(builder: Builder) -> None:
    for each in builder.streams["moves"]:
        each["target_zone"] = each["source_zone"]


def not_there(stream: str) -> Callable[[Builder], None]:
    def remove(builder: Builder) -> None:
        builder.streams.pop(stream)

    return remove


def own_refused(builder: Builder) -> None:
    builder.streams["associations"][0]["code"] = "UnauthorizedOperation"


@pytest.mark.parametrize(
    ("change", "claim", "verdict"),
    [
        (associated, "cross-region-refused", DIFFERS),
        (own_refused, "cross-region-refused", NOT_JUDGED),
        (not_there("associations"), "cross-region-refused", NOT_RUN),
        (taken_back, "cross-az-remaps", DIFFERS),
        (in_one_zone, "cross-az-remaps", DIFFERS),
        (not_there("moves"), "cross-az-remaps", NOT_JUDGED),
        (not_there("probes"), "cross-az-remaps", DIFFERS),
    ],
)
def test_what_does_not_hold(change: Callable[[Builder], None], claim: str, verdict: str, tmp_path: Path) -> None:
    builder = Builder()
    change(builder)
    assert verdicts_of(builder, tmp_path)[f"eip-region/{claim}"].verdict == verdict


@pytest.mark.parametrize("stream", ["associations", "moves", "probes", "proofs"])
def test_a_stream_that_is_missing_is_said_and_the_page_is_made(stream: str, tmp_path: Path) -> None:
    builder = Builder()
    builder.streams.pop(stream)
    made = build_report(builder.write(tmp_path))
    assert any(f"raw/{stream}.ndjson is missing" in problem for problem in made.run.problems)
    page = made.page.read_text()
    assert f"raw/{stream}.ndjson is missing" in page


def test_damaged_records_are_left_out_and_said(tmp_path: Path) -> None:
    builder = Builder()
    builder.streams["moves"].append({"move": 5})
    builder.streams["probes"].append({"move": 1, "started_unix_s": "soon"})
    builder.streams["associations"].append({"code": 7})
    summary = summary_of(builder, tmp_path)
    assert len(summary.moves) == 4
    assert len([problem for problem in summary.problems if "a record left out" in problem]) == 3


def test_the_page_shows_where_and_what(tmp_path: Path) -> None:
    page = build_report(Builder().write(tmp_path)).page.read_text()
    for words in ("54.1.2.3", "eipalloc-1", "host\u20111", "moved 4 times", "eu-central-1b", "New connections around"):
        assert words in page


def test_the_report_is_the_same_each_time(tmp_path: Path) -> None:
    path = Builder().write(tmp_path)
    texts = []
    for _ in range(2):
        build_report(path)
        texts.append([(path / name).read_text() for name in ("summary.json", "verdicts.json", "report.html")])
    assert texts[0] == texts[1]


def test_percentiles_are_values_that_were_measured() -> None:
    found = distribution([None, *(float(n) for n in range(1, 21))])
    assert (found.count, found.min, found.median, found.p90, found.max) == (20, 1, 10, 18, 20)
    assert distribution([None]).median is None
    assert distribution([7.0]).p90 == 7
