"""The loop that holds processes back: read counters, decide, stop or continue, wait."""

from __future__ import annotations

import signal
import time

from workloads.throttle.display import Display, Progress
from workloads.throttle.meter import Counts, Meter
from workloads.throttle.pacing import START_S, ClosedLoop, DutyCycle, Pacer
from workloads.throttle.processes import Identity, children, read_stat, send
from workloads.throttle.record import Record, Stop
from workloads.throttle.report import Outcome, Writer
from workloads.throttle.settings import Rate, Settings
from workloads.throttle.signals import ENDING, Caught, Signals
from workloads.throttle.tree import Member, Tree
from workloads.throttle.watchdog import Watchdog

# How often new processes and connections are searched for; also after each stop. In a pause there should be none.
SEARCH_S = 0.02
PAUSED_SEARCH_S = 0.05
# How long a command that got a signal to end is left running, so that it can end.
GRACE_S = 1.0
# The kernel reports a connection's final counters a moment after its process has ended.
LAST_LOOK_S = 0.02


class Loop:
    """One run. `process` is that of --pid, or the command, None if that has ended already; without `meter` nothing is
    measured.
    """

    def __init__(
        self,
        settings: Settings,
        process: Identity | None,
        watchdog: Watchdog,
        signals: Signals,
        meter: Meter | None,
        display: Display,
        writer: Writer,
    ) -> None:
        self._settings = settings
        self._process = process
        self._watchdog = watchdog
        self._signals = signals
        self._meter = meter
        self._display = display
        self._writer = writer
        self._pacer = _pacer(settings)
        self._tree = Tree(self._roots, watchdog.hold, self._out_of_reach)
        self._progress = Progress(settings, display)
        self._counts: Counts | None = None
        self._stops = 0
        self._longest_pause_s: float | None = None
        self._at_stop: tuple[int, int, int] | None = None  # at the stop: the send buffers, and the bytes sent
        self._exit_code: int | None = None
        self._stopped_at_s: float | None = None
        self._started_unix_s, self._cpu_before_s = time.time(), time.process_time()
        self._began_at_s = self._resumed_at_s = time.monotonic()
        self._record = Record(self._began_at_s, writer.write_sample)
        self._ran_s = 0.0
        self._searched_at_s = 0.0
        self._search_now = True
        self._free_until_s = 0.0

    def run(self) -> Outcome:
        """Holds processes back until the end. Continues all of them, also after an error. Raises WatchdogGone."""
        try:
            while self._exit_code is None:
                now_s = self._look()
                if self._exit_code is None:
                    self._act(now_s)
            self._resume()
            time.sleep(LAST_LOOK_S)
            self._look()
        finally:
            self._resume()
            self._tree.close()
            self._watchdog.done()
        return Outcome(
            **vars(self._record.figures()),
            started_unix_s=self._started_unix_s,
            sent_bytes=None if self._counts is None else self._counts.sent_bytes,
            received_bytes=None if self._counts is None else self._counts.received_bytes,
            stops=self._stops,
            longest_pause_s=self._longest_pause_s,
            pauses_cut_short=self._pacer.cut_short,
            exit_code=self._exit_code,
            cpu_s=round(time.process_time() - self._cpu_before_s, 3),
        )

    def _roots(self) -> list[int]:
        if self._settings.pid is None:
            return children(self._watchdog.pid)  # the command, and what its descendants left behind
        stat = read_stat(self._settings.pid)
        return [stat.pid] if stat is not None and stat.identity == self._process else []

    def _out_of_reach(self, member: Member) -> None:
        self._display.say(f"pid {member.pid} ({member.name}) belongs to another user, and is not held back")

    def _look(self) -> float:
        """Reads the counters; returns the time at which they held."""
        self._watchdog.heartbeat()
        now_s = time.monotonic()
        searching = self._search_now or now_s - self._searched_at_s >= self._search_every_s(now_s)
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
            self._counts = self._meter.search(self._tree.pids, now_s) if searching else self._meter.read()
            if self._stopped_at_s is not None and self._at_stop is None:
                self._at_stop = (*self._meter.tally.buffered, self._counts.sent_bytes)
        now_s = time.monotonic()
        running_s = self._running_s(now_s)
        self._record.add(now_s, None if self._counts is None else self._counts.network_bytes, running_s)
        self._progress.update(now_s, self._counts, running_s, now_s - self._began_at_s)
        self._progress.warn_of_short_pauses(self._pacer.cut_short)
        if self._meter is not None:
            self._progress.warn_of_unseen(self._meter.unseen)
            self._progress.warn_of_nothing_moved(self._counts, running_s, self._meter.unseen)
        return now_s

    def _search_every_s(self, now_s: float) -> float:
        if self._stopped_at_s is not None:
            return PAUSED_SEARCH_S
        nothing_moved = self._counts is None or not self._counts.process_bytes
        if self._meter is not None and nothing_moved and now_s - self._began_at_s < START_S:
            return 0.0  # a fast process would fill its socket buffers within SEARCH_S
        return SEARCH_S

    def _act(self, now_s: float) -> None:
        decision = self._pacer.decide(now_s, 0 if self._counts is None else self._counts.process_bytes)
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
        self._tree.stop()
        self._search_now = True
        if self._stopped_at_s is None:
            self._stopped_at_s = time.monotonic()
            self._ran_s += self._stopped_at_s - self._resumed_at_s
            self._stops += 1

    def _resume(self) -> None:
        self._tree.resume()
        if self._stopped_at_s is None:
            return
        start_s, self._stopped_at_s = self._stopped_at_s, None
        self._resumed_at_s = time.monotonic()
        stopped_s = self._resumed_at_s - start_s
        self._longest_pause_s = max(self._longest_pause_s or 0.0, stopped_s)
        if self._at_stop is not None and self._counts is not None:
            (unacked_bytes, notsent_bytes, sent_bytes), self._at_stop = self._at_stop, None
            acked_bytes = self._counts.sent_bytes - sent_bytes  # by the last reading, a moment ago
            self._writer.write_stop(Stop(start_s, stopped_s, unacked_bytes, notsent_bytes, acked_bytes))

    def _running_s(self, now_s: float) -> float:
        return self._ran_s + (now_s - self._resumed_at_s if self._stopped_at_s is None else 0.0)

    def _wait(self, seconds: float) -> bool:
        """Waits; returns False when a signal came, after handling it."""
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
        if self._process is not None and not caught.by_terminal:
            send(self._process, caught.number)
        if caught.number in ENDING:
            self._free_until_s = time.monotonic() + GRACE_S

    def _suspend(self) -> None:
        """Handles Ctrl-Z: a command stays stopped until the throttle is continued; a process of --pid runs on."""
        if self._settings.command is None:
            self._resume()
        else:
            self._stop()
        self._display.clear()
        self._watchdog.suspended()
        before_s = time.monotonic()
        signal.raise_signal(signal.SIGSTOP)  # as Ctrl-Z would have stopped this process
        away_s = time.monotonic() - before_s
        self._watchdog.heartbeat()
        if self._stopped_at_s is not None:
            self._stopped_at_s += away_s  # the time suspended by a person is no pause of the throttle's
        self._resume()


def _pacer(settings: Settings) -> Pacer:
    if isinstance(settings.pace, Rate):
        return ClosedLoop(settings.pace.bytes_per_s, settings.max_pause_s)
    return DutyCycle(settings.pace)
