"""Processes as /proc shows them (proc(5)): who they are, what they have started, which sockets they hold."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PF_KTHREAD = 0x00200000  # include/linux/sched.h
STOPPED = "T"  # by a signal; "t", stopped by a debugger, is that debugger's affair and takes signals through it
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Identity:
    """A process for certain: a pid is used again, but not with the same start time (clock ticks since boot)."""

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class Stat:
    """/proc/PID/stat, as far as it matters here; `threads` is how many the process still has."""

    pid: int
    name: str
    state: str
    parent: int
    flags: int
    threads: int
    start_ticks: int

    @property
    def identity(self) -> Identity:
        """Which process it is."""
        return Identity(self.pid, self.start_ticks)

    @property
    def ended(self) -> bool:
        """Nothing of it runs any more. A process whose first thread has ended shows Z while others go on."""
        return self.state in "ZX" and self.threads <= 1

    @property
    def of_kernel(self) -> bool:
        """It is a thread of the kernel's own."""
        return bool(self.flags & PF_KTHREAD)


def parse_stat(text: str) -> Stat:
    """One line of /proc/PID/stat. The name, in parentheses, may hold blanks and parentheses itself."""
    pid, _, rest = text.partition(" (")
    name, _, fields = rest.rpartition(") ")
    values = fields.split()
    # proc(5) numbers the fields from 1; the first one here is its third.
    return Stat(int(pid), name, values[0], int(values[1]), int(values[6]), int(values[17]), int(values[19]))


def read_stat(pid: int) -> Stat | None:
    """What a process is now, or None when there is none of this pid."""
    text = _read(f"/proc/{pid}/stat")
    return None if text is None else parse_stat(text)


def children(pid: int) -> list[int]:
    """The pids of the processes that a process has started and not yet waited for.

    The kernel promises a whole list only for a process that is stopped (proc(5), task/TID/children).
    """
    if not _has_children_files():
        return [stat.pid for stat in _all_stats() if stat.parent == pid]
    found: list[int] = []
    for thread in _list(f"/proc/{pid}/task"):
        found += map(int, (_read(f"/proc/{pid}/task/{thread}/children") or "").split())
    return found


def ancestors(pid: int) -> list[int]:
    """The parent, its parent, and so on to the first process."""
    found: list[int] = []
    stat = read_stat(pid)
    while stat is not None and stat.parent > 0:
        found.append(stat.parent)
        stat = read_stat(stat.parent)
    return found


def socket_inodes(pid: int) -> set[int]:
    """The inode of each socket that a process holds open. Raises PermissionError where that is not ours to see."""
    found: set[int] = set()
    for number in _list(f"/proc/{pid}/fd"):
        with contextlib.suppress(*_GONE):  # closed meanwhile
            target = str(Path(f"/proc/{pid}/fd/{number}").readlink())
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    return found


def open_pidfd(pid: int) -> tuple[Stat, int] | None:
    """A process and a descriptor that means this very process for ever, whatever becomes of the pid."""
    before = read_stat(pid)
    if before is None:
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    after = read_stat(pid)
    if after is None or after.start_ticks != before.start_ticks:  # another one took the pid in between
        os.close(pidfd)
        return None
    return after, pidfd


def send(identity: Identity, signum: int) -> bool:
    """Send a signal to this process and no other. False when it has ended."""
    found = open_pidfd(identity.pid)
    if found is None:
        return False
    stat, pidfd = found
    try:
        if stat.identity != identity:
            return False
        signal.pidfd_send_signal(pidfd, signum)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)


@cache
def _has_children_files() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()  # not without CONFIG_PROC_CHILDREN


def _all_stats() -> Iterator[Stat]:
    for name in _list("/proc"):
        if name.isdigit() and (stat := read_stat(int(name))) is not None:
            yield stat


def _list(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries]
    except _GONE:
        return []


def _read(path: str) -> str | None:
    # Some of these are read a hundred times a second: without Path and without a buffer.
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except _GONE:
        return None
    try:
        chunks = []
        while chunk := os.read(descriptor, 65536):
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="replace")
    except ProcessLookupError:  # it ended between open and read
        return None
    finally:
        os.close(descriptor)
