"""Turns signals that ask a process to end into an exception, so that what it has begun is taken down in order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal. No error: what handles errors does not catch it."""


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Raises Interrupted at the first SIGINT, SIGTERM or SIGHUP; later ones are ignored, since the end is under way.

    A process that nohup(1) started ignores SIGHUP already, and goes on to.
    """
    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
