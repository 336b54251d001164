"""The loop that holds processes back: read counters, decide, stop or continue, wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from workloads.throttle.display import Progress
from workloads.throttle.meter import Buffered, Counts, Meter
from workloads.throttle.pacing import START_S, Pacer
from workloads.throttle.processes import Identity, send
from workloads.throttle.record import Record, Stop
from workloads.throttle.settings import Settings
from workloads.throttle.signals import ENDING, Caught, Signals, suspend_self
from workloads.throttle.tree import Tree
from workloads.throttle.watchdog import Watchdog

# How often new processes and connections are searched for; also after each stop. In a pause there should be none.
SEARCH_S = 0.02
PAUSED_SEARCH_S = 0.05
# How long a command that got a signal to end is left running, so that it can end.
GRACE_S = 1.0
# The kernel reports a connection's final counters a moment after its process has ended.
LAST_LOOK_S = 0.02


@dataclass(kw_only=True)
class Loop:
    """One run. `command` is the process that the throttle started, or None; without `meter` nothing is measured."""

    settings: Settings
    pacer: Pacer
    tree: Tree
    meter: Meter | None
    watchdog: Watchdog
    signals: Signals
    progress: Progress
    record: Record
    command: Identity | None
    on_stop: Callable[[Stop], None]
    counts: Counts | None = field(default=None, init=False)
    stops: int = field(default=0, init=False)
    longest_pause_s: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._at_stop: tuple[Buffered, int] | None = None  # send buffers, and bytes sent, at the stop
        self._exit_code: int | None = None
        self._stopped_at_s: float | None = None
        self._began_at_s = self._resumed_at_s = time.monotonic()
        self._ran_s = 0.0
        self._searched_at_s = 0.0
        self._search_now = True
        self._free_until_s = 0.0

    def run(self) -> int:
        """Holds processes back until the end; returns the exit code. Continues all of them, also after an error.

        Raises WatchdogGone.
        """
        try:
            while self._exit_code is None:
                now_s = self._look()
                if self._exit_code is None:
                    self._act(now_s)
            self._resume()
            time.sleep(LAST_LOOK_S)
            self._look()
            return self._exit_code
        finally:
            self._resume()
            self.tree.close()
            self.watchdog.done()

    def _look(self) -> float:
        """Reads the counters; returns the time at which they held."""
        self.watchdog.heartbeat()
        now_s = time.monotonic()
        searching = self._search_now or now_s - self._searched_at_s >= self._search_every_s(now_s)
        if searching:
            self._search_now = False
            self._searched_at_s = now_s
            if self._stopped_at_s is None:
                self.tree.find()
            else:
                self.tree.stop()
            if not self.tree.pids and self.settings.pid is not None:
                self._exit_code = 0
        if self.meter is not None:
            self.counts = self.meter.search(self.tree.pids, now_s) if searching else self.meter.read()
            if self._stopped_at_s is not None and self._at_stop is None:
                self._at_stop = (self.meter.tally.buffered, self.counts.sent_bytes)
        now_s = time.monotonic()
        running_s = self._running_s(now_s)
        self.record.add(now_s, None if self.counts is None else self.counts.network_bytes, running_s)
        self.progress.update(now_s, self.counts, running_s, now_s - self._began_at_s)
        self.progress.warn_of_short_pauses(self.pacer.cut_short)
        if self.meter is not None:
            self.progress.warn_of_unseen(self.meter.unseen)
            self.progress.warn_of_nothing_moved(self.counts, running_s, self.meter.unseen)
        return now_s

    def _search_every_s(self, now_s: float) -> float:
        if self._stopped_at_s is not None:
            return PAUSED_SEARCH_S
        nothing_moved = self.counts is None or not self.counts.process_bytes
        if self.meter is not None and nothing_moved and now_s - self._began_at_s < START_S:
            return 0.0  # a fast process would fill its socket buffers within SEARCH_S
        return SEARCH_S

    def _act(self, now_s: float) -> None:
        decision = self.pacer.decide(now_s, 0 if self.counts is None else self.counts.process_bytes)
        if now_s < self._free_until_s:
            self._resume()
            self._wait(SEARCH_S)
        elif decision.run_s > 0:
            self._resume()
            undisturbed = self._wait(min(decision.run_s, SEARCH_S))
            if undisturbed and decision.stop_s > 0 and decision.run_s <= SEARCH_S:
                self._stop()
        elif self._stopped_at_s is None:
            self._stop()  # then read again at once: stopped processes move nothing, so the counters are exact
        else:
            self._wait(min(decision.stop_s, PAUSED_SEARCH_S))

    def _stop(self) -> None:
        self.tree.stop()
        self._search_now = True
        if self._stopped_at_s is None:
            self._stopped_at_s = time.monotonic()
            self._ran_s += self._stopped_at_s - self._resumed_at_s
            self.stops += 1

    def _resume(self) -> None:
        self.tree.resume()
        if self._stopped_at_s is not None:
            self._resumed_at_s = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s or 0.0, self._resumed_at_s - self._stopped_at_s)
            self._note_stop(self._stopped_at_s, self._resumed_at_s - self._stopped_at_s)
            self._stopped_at_s = None

    def _note_stop(self, start_s: float, stopped_s: float) -> None:
        """Records a stop that has ended, with the counters of the last reading, a moment ago."""
        if self._at_stop is not None and self.counts is not None:
            (buffered, sent_bytes), self._at_stop = self._at_stop, None
            acked_bytes = self.counts.sent_bytes - sent_bytes
            self.on_stop(Stop(start_s, stopped_s, buffered.unacked_bytes, buffered.notsent_bytes, acked_bytes))

    def _running_s(self, now_s: float) -> float:
        return self._ran_s + (now_s - self._resumed_at_s if self._stopped_at_s is None else 0.0)

    def _wait(self, seconds: float) -> bool:
        """Waits; returns False when a signal came, after handling it."""
        caught = self.signals.wait(seconds)
        if caught is None:
            return True
        if caught.number == signal.SIGCHLD:
            self._exit_code = self.watchdog.ended()
        elif caught.number == signal.SIGTSTP:
            self._suspend()
        elif self.settings.command is None:
            self._exit_code = 128 + caught.number
        else:
            self._pass_on(caught)
        return False

    def _pass_on(self, caught: Caught) -> None:
        if self.command is not None and not caught.by_terminal:
            send(self.command, caught.number)
        if caught.number in ENDING:
            self._free_until_s = time.monotonic() + GRACE_S

    def _suspend(self) -> None:
        """Handles Ctrl-Z: a command stays stopped until the throttle is continued; a process of --pid runs on."""
        if self.settings.command is None:
            self._resume()
        else:
            self._stop()
        self.progress.pause()
        self.watchdog.suspended()
        away_s = suspend_self()
        self.watchdog.heartbeat()
        if self._stopped_at_s is not None:
            self._stopped_at_s += away_s  # the time suspended by a person is no pause of the throttle's
        self._resume()
