"""Stages that are entered in order and left in reverse, whatever happens in between.

Each stage knows how it is undone, and the ordinary end of a backup is that same undoing: unmount, close, detach,
stop. A stage that fails, or is interrupted, while it is entered is left all the same where what undoes it undoes half
of it, too; otherwise it is not. One that fails while it is left does not keep those below it from being left, since a
disk that can't be unmounted is no reason to leave a server running.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from workloads.errors import WorkloadError


@dataclass(frozen=True)
class Stage:
    """What is done under `name`, and what undoes it under `undone_as`; None: there is nothing to undo.

    `leave_half_done` says that `leave` is also for what was not done to its end, of which there may be nothing.
    """

    name: str
    enter: Callable[[], None]
    undone_as: str = ""
    leave: Callable[[], None] | None = None
    leave_half_done: bool = False


@dataclass(frozen=True)
class Step:
    """One thing that was done or undone. `fault` is one line, None when it went well."""

    name: str
    seconds: float
    undoing: bool
    fault: str | None


Note = Callable[[Step], None]


@contextmanager
def entered(stages: Sequence[Stage], note: Note) -> Iterator[None]:
    """Enters the stages in order; the block runs inside them; then all that were entered are left, last first.

    Every step is told to `note`. A fault of the block, or of entering, is raised whole; without one, the first of
    leaving is.
    """
    faults: list[Exception] = []
    with ExitStack() as stack:
        # Called last: when something else failed, that is the fault to show, and those of leaving are printed beside
        # it.
        stack.push(_raiser(faults))
        for stage in stages:
            _enter(stage, stack, note, faults)
        yield


def _enter(stage: Stage, stack: ExitStack, note: Note, faults: list[Exception]) -> None:
    def leave_later() -> None:
        if stage.leave is not None:
            stack.callback(_leave, stage.undone_as, stage.leave, note, faults)

    def enter() -> None:
        if stage.leave_half_done:
            leave_later()
        stage.enter()
        if not stage.leave_half_done:
            leave_later()

    # Left is what was entered, also where an interrupt comes while that is told.
    _timed(stage.name, enter, note, undoing=False)


def _raiser(faults: list[Exception]) -> Callable[..., bool]:
    def look(kind: object, error: object, trace: object) -> bool:
        if error is None and faults:
            raise faults[0]
        for fault in faults:
            print(f"tidemark: while undoing: {fault}", file=sys.stderr)
        return False

    return look


def _leave(name: str, leave: Callable[[], None], note: Note, faults: list[Exception]) -> None:
    try:
        _timed(name, leave, note, undoing=True)
    except (WorkloadError, OSError) as fault:
        faults.append(fault)


def _timed(name: str, work: Callable[[], None], note: Note, *, undoing: bool) -> None:
    began = time.monotonic()
    fault: str | None = None
    try:
        work()
    except BaseException as error:
        fault = str(error) or type(error).__name__
        raise
    finally:
        note(Step(name, time.monotonic() - began, undoing, fault))
