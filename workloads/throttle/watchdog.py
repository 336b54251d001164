"""Whoever ends the throttle, and however: no process stays stopped. A second process sees to it.

It is forked before anything is stopped and holds the reading end of a pipe. The throttle names each process in it
before stopping it for the first time. When the pipe closes without "done" (a crash, SIGKILL), or nothing comes for
SILENCE_S (the throttle hangs, or was stopped itself), the watchdog continues all that were named: by pid and start
time, so that a pid that was used again is left alone. Whatever was stopped was named, so processes that started later
are among them.

It is the parent of the command, if there is one. In a process group of its own, it gets no Ctrl-C; as the parent, in
the same session, it keeps the command's group from being orphaned when the throttle is killed: the kernel sends
SIGHUP to a group that becomes orphaned while some of it is stopped (_exit in POSIX, kill_orphaned_pgrp in
kernel/exit.c). What the command starts and leaves behind comes to it as well (PR_SET_CHILD_SUBREAPER), so that the
tree stays whole.

Should the watchdog be killed, the kernel itself continues the command (PR_SET_PDEATHSIG); the throttle notices, lets
go of the others and ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import NoReturn

from workloads.throttle.launch import Command, adopt_orphans, launch
from workloads.throttle.processes import Identity, send

# The throttle says that it is alive every half second, in pauses too.
ALIVE_S = 0.5
SILENCE_S = 5.0
DEAF_TO = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
)


class WatchdogGone(Exception):
    """The watchdog has ended before it was told to."""


@dataclass(frozen=True)
class Started:
    """The command runs."""

    pid: int


@dataclass(frozen=True)
class Failed:
    """The command can't be run, with the error number of why."""

    errno: int


class Watchdog:
    """The throttle's end. Its methods raise WatchdogGone when the other end is no more."""

    def __init__(self, pid: int, orders: int, reports: int) -> None:
        self.pid = pid
        self._orders = orders
        self._reports = reports
        self._unread = b""
        self._said_alive_s = -ALIVE_S

    @classmethod
    def start(cls, command: Command | None) -> Watchdog:
        """Forks it, and lets it start the command. The calling process has one thread, and SIGCHLD not ignored: with a
        SIGCHLD the watchdog says that there is a report to read, or that it has ended.
        """
        orders_in, orders_out = os.pipe()
        reports_in, reports_out = os.pipe()
        throttle = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(orders_out)
                os.close(reports_in)
                _Watch(throttle, orders_in, reports_out).run(command)
            finally:
                os._exit(1)
        os.close(orders_in)
        os.close(reports_out)
        return cls(pid, orders_out, reports_in)

    def first_report(self) -> Started | Failed:
        """Waits for what became of the command."""
        while not self._unread.endswith(b"\n"):
            piece = os.read(self._reports, 4096)
            if not piece:
                raise WatchdogGone
            self._unread += piece
        os.set_blocking(self._reports, False)
        word, number = self._next_report()
        return Started(number) if word == b"started" else Failed(number)

    def ended(self) -> int | None:
        """The command's exit code (128 and the number of the signal that ended it) once it has ended, or None."""
        os.set_blocking(self._reports, False)
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self._reports, 4096)
            if not piece:
                raise WatchdogGone
            self._unread += piece
        if b"\n" not in self._unread:
            return None
        return self._next_report()[1]

    def hold(self, identity: Identity) -> None:
        """This process is going to be stopped."""
        self._say(f"hold {identity.pid} {identity.start_ticks}")

    def alive(self) -> None:
        """To be called twice a second or more often."""
        now_s = time.monotonic()
        if now_s - self._said_alive_s >= ALIVE_S:
            self._said_alive_s = now_s
            self._say("alive")

    def suspended(self) -> None:
        """A person has suspended us, and what is stopped is meant to be: silence means nothing until the next word."""
        self._say("suspended")
        self._said_alive_s = -ALIVE_S

    def done(self) -> None:
        """All were continued; it may go."""
        with contextlib.suppress(WatchdogGone):
            self._say("done")
        os.close(self._orders)
        os.close(self._reports)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _say(self, line: str) -> None:
        try:
            os.write(self._orders, f"{line}\n".encode())
        except BrokenPipeError:
            raise WatchdogGone from None

    def _next_report(self) -> tuple[bytes, int]:
        line, _, self._unread = self._unread.partition(b"\n")
        word, number = line.split()
        return word, int(number)


class _Watch:
    """The other end: what runs in the process that was forked."""

    def __init__(self, throttle: int, orders: int, reports: int) -> None:
        self._throttle = throttle
        self._orders = orders
        self._reports = reports
        self._held: list[Identity] = []
        self._suspended = False
        self._unread = b""

    def run(self, command: Command | None) -> NoReturn:
        for signum in DEAF_TO:
            signal.signal(signum, signal.SIG_IGN)
        os.setpgid(0, 0)
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        pidfd = pid = None
        if command is not None:
            adopt_orphans()
            try:
                pid = launch(command, DEAF_TO)
            except OSError as fault:
                self._report(f"failed {fault.errno}")
                os._exit(0)
            pidfd = os.pidfd_open(pid)
            poll.register(pidfd, select.POLLIN)
            self._report(f"started {pid}")
        _let_go_of_standard_streams()
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(SILENCE_S * 1000)]
            if pid is not None and pidfd in ready:
                _, status = os.waitpid(pid, 0)
                poll.unregister(pidfd)
                pid = None
                self._report(f"ended {exit_code(status)}")
            if self._orders in ready:
                self._read_orders()
            elif not ready and not self._suspended:
                self._release()
            self._reap_orphans(pid)

    def _read_orders(self) -> None:
        piece = os.read(self._orders, 65536)
        if not piece:
            self._release()
            os._exit(0)
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            word, *numbers = line.split()
            self._suspended = word == b"suspended"
            if word == b"hold":
                self._held.append(Identity(*map(int, numbers)))
            elif word == b"done":
                os._exit(0)

    def _release(self) -> None:
        for identity in reversed(self._held):  # children before their parents, as tree.py has it
            with contextlib.suppress(PermissionError):
                send(identity, signal.SIGCONT)

    def _report(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._reports, f"{line}\n".encode())
        if os.getppid() == self._throttle:
            os.kill(self._throttle, signal.SIGCHLD)

    def _reap_orphans(self, command: int | None) -> None:
        """The command's own end is waited for elsewhere, so it must not be taken here."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == command:
                return
            os.waitpid(found.si_pid, 0)


def exit_code(wait_status: int) -> int:
    """As shells have it: the exit code, or 128 and the number of the signal."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def _let_go_of_standard_streams() -> None:
    """Whoever reads the other end of a pipe shall see it close when the command and the throttle have ended."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
