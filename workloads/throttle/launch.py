"""Starts the command as a shell would have started it: group, signals and descriptors are those that we were given."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Command:
    """What to run, and what it is to inherit: `group` is its process group, `ignored` the signals that it is to ignore
    because we were told to (nohup), `blocked` those that were blocked.
    """

    arguments: tuple[str, ...]
    group: int
    ignored: frozenset[int]
    blocked: frozenset[int]


def launch(command: Command, reset: Iterable[int]) -> int:
    """Starts it as a child of the calling process, which has one thread; its pid. `reset` are the signals that the
    calling process treats as it likes, and the command shall not.

    Raises OSError with the reason when it can't be run. When the calling process dies, the command gets SIGCONT.
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
        close_fds=False,  # ours are closed on exec; the others were meant for the command
    )
    process.returncode = 0  # whoever called waits for it, not this object
    return process.pid


def signal_at_parents_end(signum: int) -> None:
    """Has the kernel send this to the calling process when its parent dies."""
    _prctl(PR_SET_PDEATHSIG, signum)


def adopt_orphans() -> None:
    """Makes the calling process the parent of whatever its descendants leave behind, instead of init."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
