"""What a person sees while the throttle runs, on standard error: the command's own output stays as it is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Collection, Iterable

import rich.console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from workloads.throttle.meter import Counts
from workloads.throttle.settings import CUT_SHORT_WARNING, Rate, Settings, in_unit

LIVE_S = 0.5
QUIET_S = 10.0  # without a terminal
_CLEAR = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
RATE_OVER_S = 3.0
# Seconds of running without a byte until a warning. Most programs have sent one by then, and a person who named the
# wrong process should not have to wait for the end.
NOTHING_MOVED_S = 2.0


class StandardErrorConsole(rich.console.Console):
    """Standard error. Rich's own console ends the program when the reader of a pipe has gone."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Prints nothing from now on; discards what is buffered, so that flushing it at exit does not fail."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


class Display:
    """Lines on standard error: on a terminal one that is rewritten, elsewhere one every ten seconds.

    Not rich's live display: it hides the cursor, which would stay hidden after SIGKILL. When the reader has gone, the
    throttle goes on and prints nothing.
    """

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console or StandardErrorConsole()
        self._moving = False
        self._shown_s: float | None = None

    def due(self, now_s: float) -> bool:
        """Returns whether progress is to be shown now; first one interval after the first call."""
        if self._shown_s is None:
            self._shown_s = now_s
        return now_s - self._shown_s >= (LIVE_S if self._console.is_terminal else QUIET_S)

    def show(self, now_s: float, words: str) -> None:
        """Shows progress: replaces the moving line on a terminal, prints a line elsewhere."""
        self._shown_s = now_s
        with contextlib.suppress(OSError):
            if not self._console.is_terminal:
                self._console.print(Text(f"throttle: {words}"), soft_wrap=True)
                return
            self._console.control(_CLEAR)
            self._console.print(Text(f"throttle: {words}"), end="", no_wrap=True, overflow="crop", crop=True)
            self._moving = True

    def say(self, words: str) -> None:
        """Prints a line that stays."""
        with contextlib.suppress(OSError):
            self.clear()
            self._console.print(Text(f"throttle: {words}"), soft_wrap=True)

    def clear(self) -> None:
        """Removes the moving line."""
        if self._moving:
            self._moving = False
            with contextlib.suppress(OSError):
                self._console.control(_CLEAR)


class Progress:
    """Shows how fast it goes, and warns of what can't be held; each warning is given once."""

    def __init__(self, settings: Settings, display: Display) -> None:
        self._settings = settings
        self._display = display
        self._seen: deque[tuple[float, int]] = deque()
        self._warned: set[str | int] = set()

    def warn_of_short_pauses(self, cut_short: int) -> None:
        """Warns that the rate would take pauses longer than allowed."""
        if cut_short >= CUT_SHORT_WARNING and isinstance(self._settings.pace, Rate):
            self._warn(
                "cut short",
                f"{self._settings.pace.words} would take pauses longer than {self._settings.max_pause_s:g} s, "
                "because so much moves in the shortest run; it will be more",
            )

    def warn_of_unseen(self, pids: Iterable[int]) -> None:
        """Warns of processes whose connections may not be read."""
        for pid in pids:
            self._warn(pid, f"the connections of pid {pid} can't be seen, and are not counted; root sees them")

    def warn_of_nothing_moved(self, counts: Counts | None, running_s: float, unseen: Collection[int]) -> None:
        """Warns that nothing has moved; not where the connections of some processes, `unseen`, can't be read."""
        if counts is not None and not counts.network_bytes and not unseen and running_s >= NOTHING_MOVED_S:
            words = "no TCP connection of these processes has moved anything: is it another process that transfers?"
            self._warn("nothing moved", words)

    def update(self, now_s: float, counts: Counts | None, running_s: float, seconds: float) -> None:
        """Shows progress when it is due; the processes ran for `running_s` of `seconds`."""
        if counts is not None:
            if not self._seen or now_s - self._seen[-1][0] >= RATE_OVER_S / 10:
                self._seen.append((now_s, counts.network_bytes))
            while len(self._seen) > 2 and now_s - self._seen[1][0] >= RATE_OVER_S:
                self._seen.popleft()
        if self._display.due(now_s):
            self._display.show(now_s, self._words(counts, running_s / seconds if seconds > 0 else 1.0))

    def _words(self, counts: Counts | None, running_ratio: float) -> str:
        pace = self._settings.pace
        words = []
        if counts is not None:
            (first_s, first_bytes), (last_s, last_bytes) = self._seen[0], self._seen[-1]
            rate = (last_bytes - first_bytes) / (last_s - first_s) if last_s > first_s else 0.0
            target = f" of {pace.words}" if isinstance(pace, Rate) else ""
            words.append(f"{in_unit(rate, pace.unit)}{target}")
            words.append(f"{counts.network_bytes:,} bytes")
        return ", ".join([*words, f"running {running_ratio:.0%} of the time"])

    def _warn(self, warning: str | int, words: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            self._display.say(words)
