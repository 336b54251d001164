"""A second process that continues every stopped process when the throttle ends, in whatever way.

It is forked before anything is stopped, and reads from a pipe. The throttle names each process there before stopping it
for the first time. When the pipe closes without "done" (a crash, SIGKILL), or nothing comes for SILENCE_S (the throttle
hangs, or was stopped itself), the watchdog continues all that were named: by pid and start time, so that a reused pid
is left alone.

It is the parent of the command, if there is one. It has a process group of its own, so it gets no Ctrl-C. As the
parent, in the same session, it keeps the command's group from being orphaned when the throttle is killed: the kernel
sends SIGHUP to a group that becomes orphaned while a member is stopped (_exit in POSIX, kill_orphaned_pgrp in
kernel/exit.c). Orphans of the command become its children (PR_SET_CHILD_SUBREAPER), so that the tree stays whole.

When the watchdog is killed, the kernel continues the command (PR_SET_PDEATHSIG); the throttle notices, continues the
others and ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import NoReturn

from workloads.throttle.processes import Command, Identity, adopt_orphans, launch, send
from workloads.throttle.signals import MAY_BE_IGNORED

# The throttle sends a heartbeat every half second, in pauses too.
HEARTBEAT_S = 0.5
SILENCE_S = 5.0
IGNORED_SIGNALS = MAY_BE_IGNORED | {signal.SIGPIPE}


class WatchdogGone(Exception):
    """The watchdog has ended before `done`."""


class NotStarted(OSError):
    """The command can't be run."""


class Watchdog:
    """The throttle's side. Its methods raise WatchdogGone when the watchdog has ended."""

    def __init__(self, pid: int, orders: int, reports: int) -> None:
        self.pid = pid
        self._orders = orders
        self._reports = reports
        self._unread = b""
        self._heartbeat_at_s = -HEARTBEAT_S

    @classmethod
    def start(cls, command: Command | None) -> Watchdog:
        """Forks the watchdog, which starts the command. The calling process must have one thread, and must not ignore
        SIGCHLD, by which the watchdog announces a report, or its own end.
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
        os.set_blocking(reports_in, False)
        return cls(pid, orders_out, reports_in)

    def started(self) -> int:
        """Waits until the command has started; returns its pid. Raises NotStarted when it can't be run."""
        while (report := self._next_report()) is None:
            select.select([self._reports], [], [])
        word, number = report
        if word == b"failed":
            raise NotStarted(number, os.strerror(number))
        return number

    def ended(self) -> int | None:
        """Returns the command's exit code, as `exit_code` has it, or None while it runs."""
        report = self._next_report()
        return None if report is None else report[1]

    def hold(self, identity: Identity) -> None:
        """Announces a process that is about to be stopped."""
        self._send(f"hold {identity.pid} {identity.start_ticks}")

    def heartbeat(self) -> None:
        """Sends a heartbeat when one is due; to be called at least twice a second."""
        now_s = time.monotonic()
        if now_s - self._heartbeat_at_s >= HEARTBEAT_S:
            self._heartbeat_at_s = now_s
            self._send("heartbeat")

    def suspended(self) -> None:
        """Announces that a person has suspended the throttle: missing heartbeats are ignored until the next message."""
        self._send("suspended")
        self._heartbeat_at_s = -HEARTBEAT_S

    def done(self) -> None:
        """Ends the watchdog, after all processes were continued."""
        with contextlib.suppress(WatchdogGone):
            self._send("done")
        os.close(self._orders)
        os.close(self._reports)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _send(self, line: str) -> None:
        try:
            os.write(self._orders, f"{line}\n".encode())
        except BrokenPipeError:
            raise WatchdogGone from None

    def _next_report(self) -> tuple[bytes, int] | None:
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self._reports, 4096)
            if not piece:
                raise WatchdogGone
            self._unread += piece
        if b"\n" not in self._unread:
            return None
        line, _, self._unread = self._unread.partition(b"\n")
        word, number = line.split()
        return word, int(number)


class _Watch:
    """The forked process's side."""

    def __init__(self, throttle: int, orders: int, reports: int) -> None:
        self._throttle = throttle
        self._orders = orders
        self._reports = reports
        self._held: list[Identity] = []
        self._suspended = False
        self._unread = b""

    def run(self, command: Command | None) -> NoReturn:
        for signum in IGNORED_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        os.setpgid(0, 0)
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        pidfd = pid = None
        if command is not None:
            adopt_orphans()
            try:
                pid = launch(command, IGNORED_SIGNALS)
            except OSError as fault:
                self._report(f"failed {fault.errno}")
                os._exit(0)
            pidfd = os.pidfd_open(pid)
            poll.register(pidfd, select.POLLIN)
            self._report(f"started {pid}")
        _close_standard_streams()
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
        """Waits for ended orphans, not for the command: `run` waits for that."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == command:
                return
            os.waitpid(found.si_pid, 0)


def exit_code(wait_status: int) -> int:
    """Returns the exit code as shells do: 128 plus the signal's number where a signal ended the process."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def _close_standard_streams() -> None:
    """Replaces the standard streams, so that a reader of them sees their end when command and throttle have ended."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
