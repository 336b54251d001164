"""Signals as events: blocked, and taken while the loop waits, with their sender."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
PASSED_ON = ENDING | {signal.SIGUSR1, signal.SIGUSR2}
# A shell or nohup may have started the throttle with these ignored; it and the command go on ignoring them.
MAY_BE_IGNORED = PASSED_ON | {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}

_SIGSET_BYTES = 128  # sigset_t of glibc and musl


class _SigInfo(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_int),
        ("errno", ctypes.c_int),
        ("code", ctypes.c_int),
        ("rest", ctypes.c_char * 116),  # siginfo_t has 128 bytes
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@dataclass(frozen=True)
class Caught:
    """A signal. `by_terminal`: the kernel sent it to the whole foreground group, as for Ctrl-C, so the command got it,
    too.
    """

    number: int
    by_terminal: bool


class Signals:
    """Blocks signals from its creation on; the process must have one thread. `ignored` and `blocked` are the signals
    that were so before.
    """

    def __init__(self, wanted: Iterable[int]) -> None:
        self.ignored = frozenset(int(each) for each in MAY_BE_IGNORED if signal.getsignal(each) is signal.SIG_IGN)
        waited_for = {*wanted, signal.SIGCHLD} - self.ignored
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it were ignored, none would come
        self.blocked = frozenset(int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, waited_for))
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # with `stty tostop`, output from the background would stop us
        self._library = ctypes.CDLL(None, use_errno=True)
        self._set = ctypes.create_string_buffer(_SIGSET_BYTES)
        self._library.sigemptyset(self._set)
        for number in waited_for:
            self._library.sigaddset(self._set, int(number))

    def wait(self, seconds: float) -> Caught | None:
        """Returns the next signal, or None after so many seconds; earlier when this process was stopped meanwhile.

        Does not use signal.sigtimedwait: interrupted when its time is over, it returns uninitialised memory.
        """
        info = _SigInfo()
        whole, part = divmod(max(0.0, seconds), 1.0)
        limit = _TimeSpec(int(whole), int(part * 1e9))
        if self._library.sigtimedwait(self._set, ctypes.byref(info), ctypes.byref(limit)) == -1:
            fault = ctypes.get_errno()
            if fault in (errno.EAGAIN, errno.EINTR):
                return None
            raise OSError(fault, f"sigtimedwait: {os.strerror(fault)}")
        # sigaction(2): SI_KERNEL is above zero, what a process sends is not.
        return Caught(info.number, info.code > 0)
