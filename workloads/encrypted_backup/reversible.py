"""Performs actions in order, and undoes them in reverse, whatever happens in between.

The ordinary end of a backup is the same undoing: unmount, close, detach, stop. An action that fails or is interrupted
is undone only where its undoing also copes with half of it. An undoing that fails does not keep the earlier actions
from being undone: a disk that can't be unmounted is no reason to leave a server running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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


@contextmanager
def performed(actions: Sequence[Action], step: Callable[[str, bool], AbstractContextManager[object]]) -> Iterator[None]:
    """Performs the actions in order, runs the block, and undoes the actions in reverse.

    Each doing and each undoing is a block of `step`, which gets its name, and whether it is an undoing.

    Raises the fault of the block or of an action; without one, the first fault of undoing.
    """
    faults: list[Exception] = []

    def undo(name: str, undoing: Callable[[], object]) -> None:
        try:
            with step(name, True):
                undoing()
        except (WorkloadError, OSError) as fault:
            faults.append(fault)

    try:
        with ExitStack() as stack:
            for action in actions:
                with step(action.name, False):
                    if action.undo is not None and action.undo_half_done:
                        stack.callback(undo, action.undo_name, action.undo)
                    action.do()
                    # Registered before the step ends: an interrupt at its end undoes it, too.
                    if action.undo is not None and not action.undo_half_done:
                        stack.callback(undo, action.undo_name, action.undo)
            yield
    except BaseException:
        for fault in faults:
            print(f"tidemark: while undoing: {fault}", file=sys.stderr)
        raise
    if faults:
        raise faults[0]
