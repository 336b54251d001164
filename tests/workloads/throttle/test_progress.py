"""What is said while it goes on, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
import rich.console

from workloads.throttle.display import LIVE_S, NOTHING_MOVED_S, QUIET_S, Display, Progress
from workloads.throttle.meter import Counts
from workloads.throttle.settings import CUT_SHORT_WARNING, Cycle, Settings, parse_rate

HELD = Settings(pace=parse_rate("2 MiB/s"), max_pause_s=2.0, command=("true",), pid=None, report=None)


def display_on(*, terminal: bool) -> tuple[Display, io.StringIO]:
    shown = io.StringIO()
    console = rich.console.Console(file=shown, force_terminal=terminal, width=200, highlight=False, color_system=None)
    return Display(console), shown


def words(*, terminal: bool, settings: Settings = HELD) -> tuple[Progress, io.StringIO]:
    display, shown = display_on(terminal=terminal)
    return Progress(settings, display), shown


def moved(count: int) -> Counts:
    return Counts(count, 0, count)


def test_without_a_terminal_there_is_a_line_every_ten_seconds() -> None:
    progress, shown = words(terminal=False)
    for tenth in range(301):
        progress.update(tenth / 10, moved(tenth * 2**20 // 5), tenth / 40, tenth / 10)
    assert shown.getvalue().splitlines() == [
        f"throttle: 2 MiB/s of 2 MiB/s, {round(seconds) * 2 * 2**20:,} bytes, running 25% of the time"
        for seconds in (QUIET_S, 2 * QUIET_S, 3 * QUIET_S)
    ]


def test_on_a_terminal_one_line_moves_and_is_gone_in_the_end() -> None:
    display, shown = display_on(terminal=True)
    progress = Progress(HELD, display)
    for tenth in range(11):
        progress.update(tenth / 10, moved(0), 0.1, 0.2)
    assert shown.getvalue().count("throttle: ") == int(1 / LIVE_S)
    assert "\n" not in shown.getvalue()
    display.clear()
    assert shown.getvalue().endswith("\r\x1b[2K")
    assert "\x1b[?25l" not in shown.getvalue()  # the cursor is never hidden


def test_a_line_that_stays_takes_the_place_of_the_moving_one() -> None:
    shown = io.StringIO()
    display = Display(rich.console.Console(file=shown, force_terminal=True, width=200, color_system=None))
    display.show(0.0, "moving")
    display.say("staying")
    assert shown.getvalue().endswith("\r\x1b[2Kthrottle: staying\n")


def test_a_rate_that_can_not_be_held_is_said_once() -> None:
    progress, shown = words(terminal=False)
    for count in range(CUT_SHORT_WARNING + 5):
        progress.warn_of_short_pauses(count)
        assert len(shown.getvalue().splitlines()) == (count >= CUT_SHORT_WARNING)
    assert "2 MiB/s would take pauses longer than 2 s" in shown.getvalue()


def test_connections_that_are_not_seen_are_said_once_each() -> None:
    progress, shown = words(terminal=False)
    progress.warn_of_unseen({7})
    progress.warn_of_unseen({7, 9})
    lines = shown.getvalue().splitlines()
    assert len(lines) == 2
    assert "pid 7 " in lines[0]
    assert "pid 9 " in lines[1]


def test_that_nothing_has_moved_is_said_once_and_soon() -> None:
    """The transfer may be a daemon's, which was asked for it."""
    progress, shown = words(terminal=False)
    progress.warn_of_nothing_moved(moved(0), NOTHING_MOVED_S - 0.1, [])
    assert shown.getvalue() == ""
    for second in range(4):
        progress.warn_of_nothing_moved(moved(0), NOTHING_MOVED_S + second, [])
    assert shown.getvalue() == (
        "throttle: no TCP connection of these processes has moved anything: is it another process that transfers?\n"
    )


@pytest.mark.parametrize(("counts", "unseen"), [(None, []), (moved(1), []), (moved(0), [7])])
def test_what_was_not_seen_or_has_moved_is_not_said_to_have_moved_nothing(
    counts: Counts | None, unseen: list[int]
) -> None:
    progress, shown = words(terminal=False)
    progress.warn_of_nothing_moved(counts, 2 * NOTHING_MOVED_S, unseen)
    assert shown.getvalue() == ""


@pytest.mark.parametrize(("counts", "expected"), [(None, "running"), (moved(5), "0 MB/s, 5 bytes, running")])
def test_a_cycle_has_no_target_and_maybe_no_counts(counts: Counts | None, expected: str) -> None:
    settings = Settings(pace=Cycle(0.4, 0.6), max_pause_s=2.0, command=("true",), pid=None, report=None)
    progress, shown = words(terminal=False, settings=settings)
    progress.update(0.0, counts, 0.0, 0.0)
    progress.update(QUIET_S, counts, 6.0, 10.0)
    assert shown.getvalue() == f"throttle: {expected} 60% of the time\n"
