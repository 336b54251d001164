"""The document at the end, and the words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from workloads.throttle.record import Figures
from workloads.throttle.report import Outcome, document, sentences
from workloads.throttle.settings import Cycle, Settings, parse_rate

HELD = Settings(
    pace=parse_rate("2 MiB/s"), max_pause_s=2.0, command=("aws", "s3", "presign", "secret"), pid=None, report=None
)
CYCLE = replace(HELD, pace=Cycle(0.4, 0.6), command=None, pid=13424)
OUTCOME = Outcome(
    figures=Figures(
        seconds=21.5,
        active_s=20.0,
        bytes=41_943_040,
        mean_bytes_per_s=2_097_152.0,
        window_std_bytes_per_s=20_971.52,
        windows=20,
        largest_100_ms_bytes=300_000,
        running_ratio=0.08,
    ),
    started_unix_s=1.7e9,
    sent_bytes=41_943_000,
    received_bytes=40,
    stops=402,
    longest_pause_s=0.113,
    cut_short=0,
    exit_code=0,
    cpu_s=0.3,
)
UNMEASURED = replace(
    OUTCOME,
    figures=Figures(21.5, None, None, None, None, 0, None, 0.6),
    sent_bytes=None,
    received_bytes=None,
)


def test_the_document_has_every_figure_with_its_unit() -> None:
    assert document(HELD, OUTCOME, Path("r.samples.ndjson"), Path("r.stops.ndjson")) == {
        "schema": 1,
        "mode": "rate",
        "command": "aws",
        "pid": None,
        "target_bytes_per_s": 2_097_152.0,
        "target_as_written": "2 MiB/s",
        "stop_s": None,
        "run_s": None,
        "max_pause_s": 2.0,
        "started_unix_s": 1.7e9,
        "seconds": 21.5,
        "active_s": 20.0,
        "bytes": 41_943_040,
        "mean_bytes_per_s": 2_097_152.0,
        "window_std_bytes_per_s": 20_971.52,
        "windows": 20,
        "largest_100_ms_bytes": 300_000,
        "running_ratio": 0.08,
        "sent_bytes": 41_943_000,
        "received_bytes": 40,
        "mean_to_target_ratio": 1.0,
        "stops": 402,
        "longest_pause_s": 0.113,
        "pauses_cut_short": 0,
        "exit_code": 0,
        "cpu_s": 0.3,
        "samples": "r.samples.ndjson",
        "stop_records": "r.stops.ndjson",
    }


def test_of_a_command_its_arguments_are_nobody_s_business() -> None:
    assert "secret" not in json.dumps(document(HELD, OUTCOME, Path("s"), Path("s")))


def test_what_was_not_measured_is_null() -> None:
    found = document(CYCLE, UNMEASURED, Path("s"), Path("s"))
    assert found["mode"] == "duty-cycle"
    for name in (
        "bytes",
        "mean_bytes_per_s",
        "target_bytes_per_s",
        "mean_to_target_ratio",
        "max_pause_s",
        "sent_bytes",
    ):
        assert found[name] is None


def test_what_there_is_no_file_of_has_no_name() -> None:
    found = document(HELD, OUTCOME, None, None)
    assert (found["samples"], found["stop_records"]) == (None, None)


def test_the_words_say_how_well_it_held() -> None:
    first, second = sentences(HELD, OUTCOME)
    assert first == (
        "41,943,040 bytes in 20.0 s: 2 MiB/s, 100.0% of 2 MiB/s; standard deviation of one-second windows 0.02 MiB/s, "
        "largest 100 ms 300,000 bytes"
    )
    assert second == "402 stops, the longest 0.11 s; running 8% of the time"


def test_the_words_for_what_is_not_known() -> None:
    assert "could not be measured" in sentences(CYCLE, UNMEASURED)[0]
    short = replace(OUTCOME, figures=Figures(0.4, 0.3, 1000, None, None, 0, 1000, 1.0), stops=0, longest_pause_s=None)
    assert sentences(HELD, short) == [
        "1,000 bytes in 0.4 s: too short to say how well the cap held",
        "0 stops; running 100% of the time",
    ]


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (0, "nothing was seen to move over a TCP connection in 30.0 s"),
        (90, "90 bytes in 30.0 s: too little to say how well the cap held"),
    ],
)
def test_the_words_for_nothing_and_for_little_do_not_blame_the_time(moved: int, said: str) -> None:
    figures = Figures(30.0, None, moved, None, None, 0, 40, 1.0)
    assert sentences(HELD, replace(OUTCOME, figures=figures))[0] == said
