"""A worker's seconds as columns, and long streams read thousands of records at once: the same as one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.efs_iops.experiment import summarize
from report.intervals import Interval, Intervals
from report.latency_seconds import LatencySeconds
from report.md_raid.experiment import summarize as summarize_md_raid
from report.runs import open_run
from tests.report.efs_run_builder import EfsRunBuilder
from tests.report.histograms import histogram_of
from tests.report.run_builder import RunBuilder
from tests.report.test_report_latency_charts import add

whole = st.integers(0, 1 << 40)
seconds = st.floats(0, 1e9)
one = st.builds(
    Interval,
    host=st.sampled_from(["a", "b", "c"]),
    t_start_unix_s=seconds,
    t_end_unix_s=seconds,
    ops=whole,
    bytes=whole,
    errors=st.dictionaries(st.sampled_from(["EIO", "EAGAIN"]), st.integers(1, 9)),
    latency_max_ns=st.none() | whole,
    histogram=st.none() | st.lists(st.integers(0, 10**9), max_size=3).map(histogram_of),
)


@given(st.lists(one, max_size=12), st.lists(one, max_size=4))
def test_columns_are_the_intervals_that_they_were_made_of(some: list[Interval], more: list[Interval]) -> None:
    columns = Intervals.joined([Intervals.of(some), Intervals.of(more)])
    every = [*some, *more]
    assert list(columns) == every
    for host in ("a", "b", "nobody"):
        assert list(columns.of_host(host)) == [i for i in every if i.host == host]
    assert list(columns.of_hosts(["c", "a"])) == [i for i in every if i.host in ("a", "c")]


pairs = st.lists(st.tuples(st.integers(0, 7423), st.integers(1, 10**6)), max_size=5)


@given(st.lists(pairs, min_size=1, max_size=6), st.booleans())
def test_histograms_read_at_once_are_those_read_one_by_one(documents: list[Any], spaced: bool) -> None:
    texts = [json.dumps(each).encode() if spaced else msgspec.json.encode(each) for each in documents]
    intervals = Intervals.of([Interval("a", n, n + 1, 0, 0, {}, None, None) for n in range(len(texts))])
    at_once, one_by_one = LatencySeconds(), LatencySeconds()
    at_once.add(intervals, texts)
    for n, document in enumerate(documents):
        add(one_by_one, "a", n, n + 1, document)
    last = len(texts)
    assert at_once.stretches(0, last, 1) == one_by_one.stretches(0, last, 1)


@pytest.mark.parametrize(
    "document",
    [
        *("5", "null", "[1,2]", "[[1],[2,3,4]]", "[[1,2,3]]", "[[1,2],3]", "[[1,2],[],[3,4]]", "[[],[1,2]]"),
        *('[["x",1]]', "[[-1,2],[5,6]]", "[[1.5,2]]", "[[[1,2]]]", "[[1,1e3]]", '{"1":2}', "[[9999999999999999999,1]]"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_a_document_that_is_no_list_of_pairs_the_pairs_are_kept(document: str, place: int) -> None:
    texts = [b"[[7,1],[9,3]]", b"[[300,2]]"]
    texts.insert(place, document.encode())
    at_once, one_by_one = LatencySeconds(), LatencySeconds()
    at_once.add(Intervals.of([Interval("a", n, n + 1, 0, 0, {}, None, None) for n in range(3)]), texts)
    for n, each in enumerate(texts):
        add(one_by_one, "a", n, n + 1, json.loads(each))
    assert at_once.stretches(0, 3, 1) == one_by_one.stretches(0, 3, 1)


@pytest.mark.parametrize("line", ['{"kind": "interval"}', "{oops", '{"t_unix_s": 1} {"t_unix_s": 2}'])
@pytest.mark.parametrize("where", ["first", "last"])
def test_a_bad_line_changes_nothing_of_the_others(tmp_path: Path, line: str, where: str) -> None:
    path = EfsRunBuilder().write(tmp_path)
    before = summarize(open_run(path))
    streams = ("worker", "mountstats", "host")
    for stream in streams:
        file = path / "raw" / f"{stream}.ndjson"
        text = file.read_text()
        file.write_text(f"{line}\n{text}" if where == "first" else f"{text}{line}\n")
    after = summarize(open_run(path))
    said = set(after.problems) - set(before.problems)
    assert {next(stream for stream in streams if stream in problem) for problem in said} == set(streams)
    assert msgspec.to_builtins({**vars(after), "problems": []}) == msgspec.to_builtins({**vars(before), "problems": []})


def test_kept_histograms_are_those_of_their_seconds(tmp_path: Path) -> None:
    """The drill's first worker lacks its final document: its seconds are added up instead."""
    builder = RunBuilder(seconds=3)
    path = builder.write(tmp_path)
    whole_drill = summarize_md_raid(open_run(path)).drill
    builder.streams["worker"] = [
        record
        for record in builder.streams["worker"]
        if not (record["cell"] == "drill-steady" and record["kind"] == "final")
    ]
    path = builder.write(tmp_path / "again")
    cut_off = summarize_md_raid(open_run(path)).drill
    assert whole_drill is not None
    assert cut_off is not None
    assert cut_off.phases[0].reason == "added up from its seconds: no final line"
    assert cut_off.phases[0].read_ops == whole_drill.phases[0].read_ops
    assert cut_off.phases[0].latency_p99_us == whole_drill.phases[0].latency_p99_us


def test_long_streams_read_in_a_process_of_their_own_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = EfsRunBuilder().write(tmp_path)
    with (path / "raw" / "host.ndjson").open("a") as file:
        file.write('{"t_unix_s": 1}\n')
    here = summarize(open_run(path))
    monkeypatch.setattr("report.long_streams.BYTES_MIN", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    beside = summarize(open_run(path))
    assert "raw/host.ndjson: a record left out: Object missing required field `host`" in beside.problems
    assert beside == here
