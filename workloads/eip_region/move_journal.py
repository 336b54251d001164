"""A journal of the move that is under way, which outlives its task; and a lock, so that one task moves an address."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.paths import state_dir
from workloads.results import utc_now


@dataclass(frozen=True)
class PendingMove:
    """A move that was begun, and whose end is not known."""

    source: str
    target: str
    since: str


class MoveJournal:
    """The move of an address that is under way, in a file."""

    def __init__(self, allocation_id: str, folder: Path | None = None) -> None:
        self._path = (folder or state_dir()) / "moves" / f"{allocation_id}.json"

    def begin(self, source: str, target: str) -> None:
        """Records a move, before the API is called."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"source": source, "target": target, "since": utc_now()}) + "\n", encoding="utf-8")
        new.replace(self._path)

    def end(self) -> None:
        """Removes the record: the move has ended, or was taken back."""
        self._path.unlink(missing_ok=True)

    def pending(self) -> PendingMove | None:
        """Returns a move that another run did not finish, or None."""
        try:
            found: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return PendingMove(str(found["source"]), str(found["target"]), str(found["since"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise WorkloadError(f"{self._path} cannot be read ({error})", "remove it") from error


@contextmanager
def address_lock(allocation_id: str, task: str, folder: Path | None = None) -> Iterator[None]:
    """Lets no other task of this machine move the address. Raises WorkloadError with the holder's name when it is
    taken.
    """
    path = (folder or state_dir()) / "moves" / f"{allocation_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            # The kernel releases the lock when the process ends, in whatever way.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = " ".join(file.read().split()) or "another task"
            raise WorkloadError(
                f"{allocation_id} is being moved by {holder}", "wait for its end, or end it with Ctrl-C"
            ) from None
        file.truncate()
        file.write(f"{task} (process {os.getpid()} on {socket.gethostname()}, since {utc_now()})\n")
        file.flush()
        yield
