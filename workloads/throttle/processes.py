"""Processes: reads them from /proc (proc(5)), signals them, and starts a command."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PF_KTHREAD = 0x00200000  # include/linux/sched.h
STOPPED = "T"  # by a signal; a process that a debugger has stopped shows "t", and gets signals through the debugger
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Identity:
    """Identifies a process: a pid may be reused, but not with the same start time (clock ticks since boot)."""

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class Stat:
    """Fields of /proc/PID/stat."""

    pid: int
    name: str
    state: str
    parent: int
    flags: int
    threads: int
    start_ticks: int

    @property
    def identity(self) -> Identity:
        """The process that this is of."""
        return Identity(self.pid, self.start_ticks)

    @property
    def ended(self) -> bool:
        """Whether all threads have ended: a process shows Z once its first has, while others may go on."""
        return self.state in "ZX" and self.threads <= 1

    @property
    def of_kernel(self) -> bool:
        """Whether it is a kernel thread."""
        return bool(self.flags & PF_KTHREAD)


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """Has the kernel run this process as soon as it wakes up, where that is allowed (root, CAP_SYS_NICE).

    Otherwise it waits for its turn among the threads that it is to stop: in a host with one processor up to 0.24 s were
    measured, in which the AWS CLI's ten threads moved half a megabyte. Its children are not scheduled so.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(
            0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def parse_stat(text: str) -> Stat:
    """Parses a line of /proc/PID/stat. The name, in parentheses, may itself contain blanks and parentheses."""
    pid, _, rest = text.partition(" (")
    name, _, fields = rest.rpartition(") ")
    values = fields.split()
    # proc(5) numbers the fields from 1; the first one here is its third.
    return Stat(int(pid), name, values[0], int(values[1]), int(values[6]), int(values[17]), int(values[19]))


def read_stat(pid: int) -> Stat | None:
    """Returns the process's current state, or None where the pid does not exist."""
    text = _read(f"/proc/{pid}/stat")
    return None if text is None else parse_stat(text)


def children(pid: int) -> list[int]:
    """Returns the pids of a process's children, also of those that ended and were not waited for.

    The list is complete only while the process is stopped (proc(5), task/TID/children).
    """
    if not _has_children_files():
        stats = [read_stat(int(name)) for name in _list("/proc") if name.isdigit()]
        return [stat.pid for stat in stats if stat is not None and stat.parent == pid]
    found: list[int] = []
    for thread in _list(f"/proc/{pid}/task"):
        found += map(int, (_read(f"/proc/{pid}/task/{thread}/children") or "").split())
    return found


def ancestors(pid: int) -> list[int]:
    """Returns the parent, its parent, and so on to the first process."""
    found: list[int] = []
    stat = read_stat(pid)
    while stat is not None and stat.parent > 0:
        found.append(stat.parent)
        stat = read_stat(stat.parent)
    return found


def socket_inodes(pid: int) -> set[int]:
    """Returns the inodes of a process's open sockets. Raises PermissionError where they may not be read."""
    found: set[int] = set()
    for number in _list(f"/proc/{pid}/fd"):
        with contextlib.suppress(*_GONE):  # closed meanwhile
            target = str(Path(f"/proc/{pid}/fd/{number}").readlink())
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    return found


def open_pidfd(pid: int) -> tuple[Stat, int] | None:
    """Returns a process and a descriptor of it, which stays valid when the pid is reused; None where it is gone."""
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
    """Sends a signal to this process; returns False when it has ended."""
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


@dataclass(frozen=True)
class Command:
    """A command, and what it inherits: its process group, the signals that the throttle was started to ignore (as by
    nohup), and those that were blocked.
    """

    arguments: tuple[str, ...]
    group: int
    ignored: frozenset[int]
    blocked: frozenset[int]


def launch(command: Command, reset: Iterable[int]) -> int:
    """Starts a command as a shell would, as a child of the calling process; returns its pid. The calling process must
    have one thread. `reset` are the signals whose handling the command does not inherit.

    Raises OSError when the command can't be run. When the calling process dies, the command gets SIGCONT.
    """

    def inherit() -> None:
        signal_at_parents_end(signal.SIGCONT)
        for signum in reset:
            signal.signal(signum, signal.SIG_IGN if signum in command.ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, command.blocked)

    process = subprocess.Popen(
        command.arguments,
        process_group=command.group,
        preexec_fn=inherit,  # safe: there is one thread
        close_fds=False,  # the throttle's own are closed on exec; the others are meant for the command
    )
    process.returncode = 0  # the caller waits for it, not this object
    return process.pid


def signal_at_parents_end(signum: int) -> None:
    """Makes the kernel send `signum` to the calling process when its parent dies."""
    _prctl(PR_SET_PDEATHSIG, signum)


def adopt_orphans() -> None:
    """Makes the calling process, instead of init, the parent of its orphaned descendants."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


@cache
def _has_children_files() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()  # not without CONFIG_PROC_CHILDREN


def _list(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries]
    except _GONE:
        return []


def _read(path: str) -> str | None:
    # Some files are read a hundred times a second: this is faster than Path and a buffered file.
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


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
