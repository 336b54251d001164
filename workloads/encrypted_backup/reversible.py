"""Performs actions in order, and undoes them in reverse, whatever happens in between.

The ordinary end of a backup is the same undoing: unmount, close, detach, stop. An action that fails or is interrupted
is undone only where its undoing also copes with half of it. An undoing that fails does not keep the earlier actions
from being undone: a disk that can't be unmounted is no reason to leave a server running.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from workloads.errors import WorkloadError


@dataclass(frozen=True)
class Action:
    """What `do` does under `name`, and `undo` undoes under `undo_name`; None: there is nothing to undo.

    With `undo_half_done`, `undo` also copes with what was not done to its end, or not at all.
    """

    name: str
    do: Callable[[], object]
    undo_name: str = ""
    undo: Callable[[], object] | None = None
    undo_half_done: bool = False


@dataclass(frozen=True)
class ActionOutcome:
    """An action that was done or undone. `fault` is one line, None when it succeeded."""

    name: str
    seconds: float
    undoing: bool
    fault: str | None


Note = Callable[[ActionOutcome], None]
Show = Callable[[str], AbstractContextManager[object]]


@contextmanager
def performed(actions: Sequence[Action], note: Note, show: Show = lambda name: nullcontext()) -> Iterator[None]:
    """Performs the actions in order, runs the block, and undoes the actions in reverse.

    `show` gets the name of each action, and its block lasts as long as the action; `note` gets every outcome.

    Raises the fault of the block or of an action; without one, the first fault of undoing.
    """
    faults: list[Exception] = []
    try:
        with ExitStack() as stack:
            for action in actions:
                _perform(action, stack, note, show, faults)
            yield
    except BaseException:
        for fault in faults:
            print(f"tidemark: while undoing: {fault}", file=sys.stderr)
        raise
    if faults:
        raise faults[0]


def _perform(action: Action, stack: ExitStack, note: Note, show: Show, faults: list[Exception]) -> None:
    def undo_later() -> None:
        if action.undo is not None:
            stack.callback(_undo, action.undo_name, action.undo, note, show, faults)

    with noted(action.name, note, show):
        if action.undo_half_done:
            undo_later()
        action.do()
        # Registered before it is noted: an interrupt while it is noted undoes it, too.
        if not action.undo_half_done:
            undo_later()


def _undo(name: str, undo: Callable[[], object], note: Note, show: Show, faults: list[Exception]) -> None:
    try:
        with noted(name, note, show, undoing=True):
            undo()
    except (WorkloadError, OSError) as fault:
        faults.append(fault)


@contextmanager
def noted(name: str, note: Note, show: Show, *, undoing: bool = False) -> Iterator[None]:
    """Times the block, which `show` shows meanwhile, and gives its outcome to `note`."""
    began = time.monotonic()
    fault: str | None = None
    try:
        with show(name):
            yield
    except BaseException as error:
        fault = str(error) or type(error).__name__
        raise
    finally:
        note(ActionOutcome(name, time.monotonic() - began, undoing, fault))
