"""One run: checks, the watchdog, the loop, the report."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from workloads.errors import WorkloadError
from workloads.throttle.checks import check_kernel, check_process, check_same
from workloads.throttle.display import Display, Progress
from workloads.throttle.loop import Loop
from workloads.throttle.meter import Meter
from workloads.throttle.pacing import ClosedLoop, DutyCycle, Pacer
from workloads.throttle.processes import Command, Identity, children, read_stat, real_time
from workloads.throttle.record import Record
from workloads.throttle.report import Outcome, Writer, document, sentences
from workloads.throttle.settings import Rate, Settings
from workloads.throttle.signals import ENDING, PASSED_ON, Signals
from workloads.throttle.sock_diag import DiagSocket
from workloads.throttle.tree import Member, Tree
from workloads.throttle.watchdog import NotStarted, Watchdog, WatchdogGone

EXIT_FAULT = 1
EXIT_REFUSED = 2
EXIT_NOT_EXECUTABLE = 126  # these two as env(1), nohup(1) and shells have them
EXIT_NOT_FOUND = 127


def run(settings: Settings, display: Display) -> int:
    """Holds processes back until the end; returns the exit code. Raises WorkloadError when a run can't begin."""
    check_kernel()
    with ExitStack() as stack:
        process = None
        if settings.pid is not None:
            process = check_process(settings.pid, measured=settings.needs_counts)
        writer = stack.enter_context(Writer(settings.report)) if settings.report is not None else None
        meter = _meter(settings, stack)
        signals = Signals({*(PASSED_ON if settings.command is not None else ENDING), signal.SIGTSTP})
        command = None
        if settings.command is not None:
            command = Command(settings.command, os.getpgrp(), signals.ignored, signals.blocked)
        watchdog = Watchdog.start(command)
        try:
            if settings.command is not None:
                try:
                    started = read_stat(watchdog.started())
                except NotStarted as fault:
                    watchdog.done()
                    display.say(f"{settings.command[0]}: {fault.strerror}; name a program, by its path or one on PATH")
                    return EXIT_NOT_FOUND if fault.errno == errno.ENOENT else EXIT_NOT_EXECUTABLE
                process = None if started is None else started.identity
            elif process is not None:
                check_same(process)
            return _hold(settings, display, process, writer, meter, signals, watchdog)
        except WorkloadError:
            watchdog.done()
            raise
        except WatchdogGone:
            display.say("the watchdog was killed; the processes run on, without a cap")
            return EXIT_FAULT
        except OSError as fault:
            display.say(f"{fault.strerror or fault}; the processes run on, without a cap")
            return EXIT_FAULT


def _hold(
    settings: Settings,
    display: Display,
    process: Identity | None,
    writer: Writer | None,
    meter: Meter | None,
    signals: Signals,
    watchdog: Watchdog,
) -> int:
    display.say(_opening(settings, process))
    pacer = _pacer(settings)
    started_unix_s, cpu_before_s = time.time(), time.process_time()
    record = Record(time.monotonic(), writer.write_sample if writer is not None else lambda sample: None)
    loop = Loop(
        settings=settings,
        pacer=pacer,
        tree=Tree(_roots(settings, process, watchdog), watchdog.hold, _out_of_reach(display)),
        meter=meter,
        watchdog=watchdog,
        signals=signals,
        progress=Progress(settings, display),
        record=record,
        command=process if settings.command is not None else None,
        on_stop=writer.write_stop if writer is not None else lambda stop: None,
    )
    with real_time():
        code = loop.run()
    outcome = Outcome(
        figures=record.figures(),
        started_unix_s=started_unix_s,
        sent_bytes=None if loop.counts is None else loop.counts.sent_bytes,
        received_bytes=None if loop.counts is None else loop.counts.received_bytes,
        stops=loop.stops,
        longest_pause_s=loop.longest_pause_s,
        cut_short=pacer.cut_short,
        exit_code=code,
        cpu_s=time.process_time() - cpu_before_s,
    )
    for sentence in sentences(settings, outcome):
        display.say(sentence)
    if writer is not None:
        try:
            writer.write(document(settings, outcome, writer.samples, writer.stops))
        except OSError as fault:
            display.say(f"--report {settings.report}: {fault.strerror}; the report is not whole")
    return code


def _meter(settings: Settings, stack: ExitStack) -> Meter | None:
    try:
        return Meter(stack.enter_context(DiagSocket()))
    except OSError as fault:
        if not settings.needs_counts:
            return None  # the duty cycle needs no counts; its report then has none
        raise WorkloadError(
            f"the kernel does not report TCP connections (sock_diag: {fault.strerror})",
            "without them neither --rate nor --from-first-byte works; --stop and --run alone do",
        ) from None


def _pacer(settings: Settings) -> Pacer:
    if isinstance(settings.pace, Rate):
        return ClosedLoop(settings.pace.bytes_per_s, settings.max_pause_s)
    return DutyCycle(settings.pace)


def _roots(settings: Settings, process: Identity | None, watchdog: Watchdog) -> Callable[[], Iterable[int]]:
    if settings.command is not None:
        return lambda: children(watchdog.pid)  # the command, and what its descendants left behind

    def still_there() -> list[int]:
        assert process is not None  # it was checked
        stat = read_stat(process.pid)
        return [process.pid] if stat is not None and stat.identity == process else []

    return still_there


def _out_of_reach(display: Display) -> Callable[[Member], None]:
    return lambda member: display.say(f"pid {member.pid} ({member.name}) belongs to another user, and is not held back")


def _opening(settings: Settings, process: Identity | None) -> str:
    pid = "" if process is None else f" (pid {process.pid})"
    what = f"{settings.command[0]}{pid}" if settings.command is not None else f"pid {settings.pid}"
    return f"{what}: {settings.pace.explained}"
