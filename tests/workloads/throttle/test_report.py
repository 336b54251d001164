"""The document at the end, and the words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workloads.throttle.record import Figures
from workloads.throttle.report import Outcome, document, sentences
from workloads.throttle.settings import CUT_SHORT_WARNING, Cycle, Settings, parse_rate

HELD = Settings(
    pace=parse_rate("2 MiB/s"), max_pause_s=2.0, command=("aws", "s3", "presign", "secret"), pid=None, report=None
)
CYCLE = replace(HELD, pace=Cycle(0.4, 0.6), command=None, pid=13424)
OUTCOME = Outcome(
    seconds=21.5,
    active_s=20.0,
    bytes=41_943_040,
    mean_bytes_per_s=2_097_152.0,
    window_std_bytes_per_s=20_971.52,
    windows=20,
    largest_100_ms_bytes=300_000,
    running_ratio=0.08,
    started_unix_s=1.7e9,
    sent_bytes=41_943_000,
    received_bytes=40,
    stops=402,
    longest_pause_s=0.113,
    pauses_cut_short=0,
    exit_code=0,
    cpu_s=0.3,
)


def with_figures(figures: Figures, **changes: Any) -> Outcome:
    return replace(OUTCOME, **vars(figures), **changes)


UNMEASURED = with_figures(Figures(21.5, None, None, None, None, 0, None, 0.6), sent_bytes=None, received_bytes=None)


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
        "41,943,040 bytes in 20 s: 2 MiB/s, 100.0% of 2 MiB/s; standard deviation of one-second windows 0.02 MiB/s; "
        "largest 100 ms 300,000 bytes"
    )
    assert second == "402 stops, the longest 0.11 s; running 8% of the time"


def test_the_words_for_what_is_not_known() -> None:
    assert "could not be measured" in sentences(CYCLE, UNMEASURED)[0]
    idle = with_figures(Figures(0.4, None, 90, None, None, 0, 90, 1.0), stops=0, longest_pause_s=None)
    assert sentences(HELD, idle) == [
        "90 bytes in 0.4 s: too little to say how well the cap held",
        "0 stops; running 100% of the time",
    ]


def test_a_transfer_that_was_too_short_says_so_with_its_true_mean() -> None:
    """12 MB at 2 MiB/s: half of it moved before the first stop."""
    figures = Figures(4.3, 4.0, 12_000_000, 3_000_000.0, 3e6, 4, 6_000_000, 0.2)
    first, second, _ = sentences(HELD, with_figures(figures))
    assert first.startswith("12,000,000 bytes in 4 s: 2.86 MiB/s, 143.1% of 2 MiB/s; ")
    assert second == "too short for this cap: its bursts are 50% of it; the mean is within 1% from about 600 MB on"


def test_a_transfer_that_was_over_at_once_says_how_many_times_the_rate_it_had() -> None:
    figures = Figures(0.4, 0.01, 12_000_000, 1.2e9, None, 0, 12_000_000, 0.9)
    first, second, _ = sentences(HELD, with_figures(figures))
    assert first == "12,000,000 bytes in 0.01 s: 1,144 MiB/s, 572 times 2 MiB/s; largest 100 ms 12,000,000 bytes"
    assert second.startswith("too short for this cap: its bursts are 100% of it")


@pytest.mark.parametrize(
    ("settings", "ratio", "cut_short"),
    [(HELD, 1.009, 0), (HELD, 0.7, 0), (HELD, 3.0, CUT_SHORT_WARNING), (CYCLE, 3.0, 0)],
    ids=["within the promise", "slower than the cap", "never held, of which a warning was given", "no rate"],
)
def test_nothing_else_is_called_too_short(settings: Settings, ratio: float, cut_short: int) -> None:
    outcome = replace(OUTCOME, mean_bytes_per_s=2_097_152 * ratio, pauses_cut_short=cut_short)
    assert "too short" not in " ".join(sentences(settings, outcome))


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (0, "no TCP connection was seen to move anything in 30.0 s; one that lasts less than 20 ms may not be seen"),
        (90, "90 bytes in 30.0 s: too little to say how well the cap held"),
    ],
)
def test_the_words_for_nothing_and_for_little_do_not_blame_the_time(moved: int, said: str) -> None:
    figures = Figures(30.0, None, moved, None, None, 0, 40, 1.0)
    assert sentences(HELD, with_figures(figures))[0] == said
