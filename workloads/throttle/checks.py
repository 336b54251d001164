"""Checks before a run: whether the kernel can do it, and whether the process may be held back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.throttle.processes import Identity, Stat, ancestors, read_stat, socket_inodes

NAME_THE_TRANSFER = "name the process that transfers"


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
    _check_kind(stat)
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


def _check_kind(stat: Stat) -> None:
    pid = stat.pid
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
