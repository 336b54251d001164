"""One run: checks what the kernel can do and whether the process may be held back, then holds it, and reports."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.throttle.display import Display
from workloads.throttle.loop import Loop
from workloads.throttle.meter import Meter
from workloads.throttle.processes import Command, Identity, Stat, ancestors, read_stat, real_time, socket_inodes
from workloads.throttle.report import Writer, document, sentences
from workloads.throttle.settings import Settings
from workloads.throttle.signals import ENDING, PASSED_ON, Signals
from workloads.throttle.sock_diag import DiagSocket
from workloads.throttle.watchdog import NotStarted, Watchdog, WatchdogGone

EXIT_FAULT = 1
EXIT_REFUSED = 2
EXIT_NOT_EXECUTABLE = 126  # these two as env(1), nohup(1) and shells have them
EXIT_NOT_FOUND = 127

NAME_THE_TRANSFER = "name the process that transfers"


def run(settings: Settings, display: Display) -> int:
    """Holds processes back until the end; returns the exit code. Raises WorkloadError when a run can't begin."""
    check_kernel()
    with ExitStack() as stack:
        process = None
        if settings.pid is not None:
            process = check_process(settings.pid, measured=settings.needs_counts)
        writer = stack.enter_context(Writer(settings.report))
        meter = _meter(settings, stack)
        signals = Signals({*(PASSED_ON if settings.command is not None else ENDING), signal.SIGTSTP})
        command, name = None, f"pid {settings.pid}"
        if settings.command is not None:
            command = Command(settings.command, os.getpgrp(), signals.ignored, signals.blocked)
            name = settings.command[0]
        watchdog = Watchdog.start(command)
        try:
            if process is not None:
                check_same(process)
            else:
                pid = watchdog.started()
                stat = read_stat(pid)
                process = None if stat is None else stat.identity
                name += f" (pid {pid})"
            display.say(f"{name}: {settings.pace.explained}")
            with real_time():
                outcome = Loop(settings, process, watchdog, signals, meter, display, writer).run()
        except NotStarted as fault:
            watchdog.done()
            display.say(f"{name}: {fault.strerror}; name a program, by its path or one on PATH")
            return EXIT_NOT_FOUND if fault.errno == errno.ENOENT else EXIT_NOT_EXECUTABLE
        except WorkloadError:
            watchdog.done()
            raise
        except WatchdogGone:
            display.say("the watchdog was killed; the processes run on, without a cap")
            return EXIT_FAULT
        except OSError as fault:
            display.say(f"{fault.strerror or fault}; the processes run on, without a cap")
            return EXIT_FAULT
        for sentence in sentences(settings, outcome):
            display.say(sentence)
        try:
            writer.write(document(settings, outcome, writer.samples, writer.stops))
        except OSError as fault:
            display.say(f"--report {settings.report}: {fault.strerror}; the report is not whole")
        return outcome.exit_code


def _meter(settings: Settings, stack: ExitStack) -> Meter | None:
    try:
        return Meter(stack.enter_context(closing(DiagSocket())))
    except OSError as fault:
        if not settings.needs_counts:
            return None  # the duty cycle needs no counts; its report then has none
        raise WorkloadError(
            f"the kernel does not report TCP connections (sock_diag: {fault.strerror})",
            "without them neither --rate nor --from-first-byte works; --stop and --run alone do",
        ) from None


def check_kernel() -> None:
    """Raises WorkloadError where the kernel has no pidfd_open, or a sandbox forbids it."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise WorkloadError("this is not Linux 5.3 or newer", "run it there")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as fault:
        raise WorkloadError(f"pidfd_open: {fault.strerror}", "it takes Linux 5.3, in a sandbox too") from None


def check_process(pid: int, *, measured: bool) -> Identity:
    """Returns the process of this pid, if it may be held back; with `measured`, if its connections can be read, too.

    Raises WorkloadError for pid 1, a kernel thread, the throttle and its ancestors, a process of another user (unless
    root runs the throttle), one that is gone, and a thread that is no process.
    """
    stat = read_stat(pid)
    if stat is None or stat.ended:
        raise WorkloadError(f"pid {pid} is gone", "see `ps` for the processes there are")
    if pid == 1:
        raise WorkloadError("pid 1 is the system's first process", NAME_THE_TRANSFER)
    if stat.of_kernel:
        raise WorkloadError(f"pid {pid} ({stat.name}) is a thread of the kernel", NAME_THE_TRANSFER)
    if pid == os.getpid():
        raise WorkloadError(f"pid {pid} is this throttle itself", NAME_THE_TRANSFER)
    if pid in ancestors(os.getpid()):
        raise WorkloadError(f"pid {pid} ({stat.name}) has started this throttle, and would stop it", NAME_THE_TRANSFER)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":\t")
        if name == "Tgid" and int(value) != pid:
            raise WorkloadError(f"pid {pid} is a thread of process {int(value)}", "name that one")
    owner = Path(f"/proc/{pid}").stat().st_uid
    if os.geteuid() not in (0, owner):
        raise WorkloadError(f"pid {pid} ({stat.name}) belongs to user {owner}", "run as that user or as root")
    if measured:
        _check_readable(stat)
    return stat.identity


def check_same(identity: Identity) -> None:
    """Raises WorkloadError when the process has ended, or its pid means another process by now."""
    now = read_stat(identity.pid)
    if now is None or now.ended:
        raise WorkloadError(f"pid {identity.pid} has just ended", "there is nothing left to hold back")
    if now.identity != identity:
        raise WorkloadError(
            f"pid {identity.pid} was reused: it is now {now.name}", "look the pid up again; this one is left alone"
        )


def _check_readable(stat: Stat) -> None:
    what = f"pid {stat.pid} ({stat.name})"
    instead = "run as root, or use --stop and --run, which need no measuring"
    try:
        socket_inodes(stat.pid)
        network = Path(f"/proc/{stat.pid}/ns/net").stat().st_ino
    except PermissionError:
        raise WorkloadError(f"the connections of {what} can't be seen", instead) from None
    except FileNotFoundError:
        raise WorkloadError(f"pid {stat.pid} has just ended", "there is nothing left to hold back") from None
    if network != Path("/proc/self/ns/net").stat().st_ino:
        raise WorkloadError(
            f"{what} is in another network namespace, whose connections can't be seen from here",
            f"start the throttle there: nsenter --net=/proc/{stat.pid}/ns/net",
        )
