"""What is said while it goes on: how fast, and what can't be held."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from workloads.throttle.display import Display
from workloads.throttle.rates import Rate, in_unit
from workloads.throttle.settings import Settings
from workloads.throttle.tally import Counts

# One pause cut short is what a full socket buffer costs at the beginning; some are a rate that can't be held.
CUT_SHORT_SAID = 3
RATE_OVER_S = 3.0
# Seconds of running without a byte until that is said. Most programs have sent one by then, and who named the wrong
# process should not have to wait for the end.
NOTHING_MOVED_S = 2.0


class Progress:
    """Words for a display. Each warning is given once."""

    def __init__(self, settings: Settings, display: Display) -> None:
        self._settings = settings
        self._display = display
        self._seen: deque[tuple[float, int]] = deque()
        self._warned: set[str | int] = set()

    def warn_of_short_pauses(self, cut_short: int) -> None:
        """The rate can't be held with pauses as short as they must be."""
        if cut_short >= CUT_SHORT_SAID and self._first("cut short") and isinstance(self._settings.pace, Rate):
            self._display.say(
                f"{self._settings.pace.words} would take pauses longer than {self._settings.max_pause_s:g} s, "
                "because so much moves in the shortest run; it will be more"
            )

    def warn_of_unseen(self, pids: Iterable[int]) -> None:
        """Some processes' connections may not be looked at."""
        for pid in pids:
            if self._first(pid):
                self._display.say(f"the connections of pid {pid} can't be seen, and are not counted; root sees them")

    def warn_of_nothing_moved(self, counts: Counts | None, running_s: float, unseen: Collection[int]) -> None:
        """Nothing is held, for nothing is seen to move; `unseen` are processes whose connections can't be looked at."""
        if counts is None or counts.network_bytes or unseen or running_s < NOTHING_MOVED_S:
            return
        if self._first("nothing moved"):
            self._display.say(
                "no TCP connection of these processes has moved anything: is it another process that transfers?"
            )

    def tell(self, now_s: float, counts: Counts | None, running_s: float, seconds: float) -> None:
        """How it goes, when it is time to say so; `running_s` of `seconds` were not stopped."""
        if counts is not None:
            self._remember(now_s, counts.network_bytes)
        if self._display.due(now_s):
            self._display.show(now_s, self._words(counts, running_s / seconds if seconds > 0 else 1.0))

    def pause(self) -> None:
        """Takes the moving line away until there is more to tell."""
        self._display.clear()

    def _remember(self, now_s: float, moved: int) -> None:
        if not self._seen or now_s - self._seen[-1][0] >= RATE_OVER_S / 10:
            self._seen.append((now_s, moved))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= RATE_OVER_S:
            self._seen.popleft()

    def _words(self, counts: Counts | None, running_ratio: float) -> str:
        pace = self._settings.pace
        words = []
        if counts is not None:
            (first_s, first_bytes), (last_s, last_bytes) = self._seen[0], self._seen[-1]
            rate = (last_bytes - first_bytes) / (last_s - first_s) if last_s > first_s else 0.0
            target = f" of {pace.words}" if isinstance(pace, Rate) else ""
            words.append(f"{in_unit(rate, pace.unit if isinstance(pace, Rate) else 'MB/s')}{target}")
            words.append(f"{counts.network_bytes:,} bytes")
        return ", ".join([*words, f"running {running_ratio:.0%} of the time"])

    def _first(self, warning: str | int) -> bool:
        new = warning not in self._warned
        self._warned.add(warning)
        return new
