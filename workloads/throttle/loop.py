"""The loop that holds processes back: look, ask for the next turn, stop or continue, wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from workloads.throttle.meter import Meter
from workloads.throttle.pacing import Pacer
from workloads.throttle.processes import Identity, send
from workloads.throttle.progress import Progress
from workloads.throttle.record import Record, Stop
from workloads.throttle.settings import Settings
from workloads.throttle.signals import ENDING, Caught, Signals, suspend_self
from workloads.throttle.tally import Buffered, Counts
from workloads.throttle.tree import Tree
from workloads.throttle.watchdog import Watchdog

# New processes and connections are looked for this often, and after each stop. In a pause there should be none.
SEARCH_S = 0.02
PAUSED_SEARCH_S = 0.05
# A command that was told to end is not stopped for so long, so that it can.
GRACE_S = 1.0
# The kernel tells a connection's final counters a moment after the process that held it has ended.
LAST_LOOK_S = 0.02


class Loop:
    """One run. `command` is the process that was started, None for one that ran before; without `meter` nothing is
    measured.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        pacer: Pacer,
        tree: Tree,
        meter: Meter | None,
        watchdog: Watchdog,
        signals: Signals,
        progress: Progress,
        record: Record,
        command: Identity | None,
        keep_stop: Callable[[Stop], None] = lambda stop: None,
    ) -> None:
        self._settings = settings
        self._pacer = pacer
        self._tree = tree
        self._meter = meter
        self._watchdog = watchdog
        self._signals = signals
        self._progress = progress
        self._record = record
        self._command = command
        self._keep_stop = keep_stop
        self._at_stop: tuple[Buffered, int] | None = None  # and what had been sent by then
        self._exit_code: int | None = None
        self._stopped_at_s: float | None = None
        self._began_at_s = self._resumed_at_s = time.monotonic()
        self._ran_s = 0.0
        self._searched_at_s = 0.0
        self._search_now = True
        self._free_until_s = 0.0
        self.counts: Counts | None = None
        self.stops = 0
        self.longest_pause_s: float | None = None

    def run(self) -> int:
        """Holds back until the end; the exit code. Whatever happens, nothing stays stopped. Raises WatchdogGone."""
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
            self._tree.close()
            self._watchdog.done()

    def _look(self) -> float:
        """Reads counts; the time at which they were true."""
        self._watchdog.alive()
        now_s = time.monotonic()
        every_s = SEARCH_S if self._stopped_at_s is None else PAUSED_SEARCH_S
        searching = self._search_now or now_s - self._searched_at_s >= every_s
        if searching:
            self._search_now = False
            self._searched_at_s = now_s
            if self._stopped_at_s is None:
                self._tree.find()
            else:
                self._tree.stop()
            if not self._tree.pids and self._settings.pid is not None:
                self._exit_code = 0
        if self._meter is not None:
            self.counts = self._meter.search(self._tree.pids, now_s) if searching else self._meter.read()
            if self._stopped_at_s is not None and self._at_stop is None:
                self._at_stop = (self._meter.buffered, self.counts.sent_bytes)
        now_s = time.monotonic()
        running_s = self._running_s(now_s)
        self._record.add(now_s, None if self.counts is None else self.counts.network_bytes, running_s)
        self._progress.tell(now_s, self.counts, running_s, now_s - self._began_at_s)
        self._progress.warn_of_short_pauses(self._pacer.cut_short)
        if self._meter is not None:
            self._progress.warn_of_unseen(self._meter.unseen)
            self._progress.warn_of_nothing_moved(self.counts, running_s, self._meter.unseen)
        return now_s

    def _act(self, now_s: float) -> None:
        turn = self._pacer.turn(now_s, 0 if self.counts is None else self.counts.process_bytes)
        if now_s < self._free_until_s:
            self._resume()
            self._wait(SEARCH_S)
        elif turn.run_s > 0:
            self._resume()
            undisturbed = self._wait(min(turn.run_s, SEARCH_S))
            if undisturbed and turn.stop_s > 0 and turn.run_s <= SEARCH_S:
                self._stop()
        elif self._stopped_at_s is None:
            self._stop()  # and look again at once: what stands moves nothing, so now the counts are exact
        else:
            self._wait(min(turn.stop_s, PAUSED_SEARCH_S))

    def _stop(self) -> None:
        self._tree.stop()
        self._search_now = True
        if self._stopped_at_s is None:
            self._stopped_at_s = time.monotonic()
            self._ran_s += self._stopped_at_s - self._resumed_at_s
            self.stops += 1

    def _resume(self) -> None:
        self._tree.resume()
        if self._stopped_at_s is not None:
            self._resumed_at_s = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s or 0.0, self._resumed_at_s - self._stopped_at_s)
            self._note_stop(self._stopped_at_s, self._resumed_at_s - self._stopped_at_s)
            self._stopped_at_s = None

    def _note_stop(self, start_s: float, stopped_s: float) -> None:
        """A stop that has ended, with the counts of the last look, which was a moment ago."""
        if self._at_stop is not None and self.counts is not None:
            (buffered, sent_bytes), self._at_stop = self._at_stop, None
            acked_bytes = self.counts.sent_bytes - sent_bytes
            self._keep_stop(Stop(start_s, stopped_s, buffered.unacked_bytes, buffered.notsent_bytes, acked_bytes))

    def _running_s(self, now_s: float) -> float:
        return self._ran_s + (now_s - self._resumed_at_s if self._stopped_at_s is None else 0.0)

    def _wait(self, seconds: float) -> bool:
        """Waits, or deals with a signal that comes meanwhile; then False."""
        caught = self._signals.wait(seconds)
        if caught is None:
            return True
        if caught.number == signal.SIGCHLD:
            self._exit_code = self._watchdog.ended()
        elif caught.number == signal.SIGTSTP:
            self._suspend()
        elif self._settings.command is None:
            self._exit_code = 128 + caught.number
        else:
            self._pass_on(caught)
        return False

    def _pass_on(self, caught: Caught) -> None:
        if self._command is not None and not caught.by_terminal:
            send(self._command, caught.number)
        if caught.number in ENDING:
            self._free_until_s = time.monotonic() + GRACE_S

    def _suspend(self) -> None:
        """Ctrl-Z means the command too, which stands until we are continued. A process that is not ours goes on."""
        if self._settings.command is None:
            self._resume()
        else:
            self._stop()
        self._progress.pause()
        self._watchdog.suspended()
        away_s = suspend_self()
        self._watchdog.alive()
        if self._stopped_at_s is not None:
            self._stopped_at_s += away_s  # a person's pause is none of ours
        self._resume()
