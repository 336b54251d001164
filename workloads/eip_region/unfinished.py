"""A move that has begun is written down until it has ended, and no two tasks move one address at once."""

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
from workloads.host_keys import state_dir
from workloads.results import utc_now


@dataclass(frozen=True)
class Begun:
    """A move of which the end is not known."""

    source: str
    target: str
    since: str


class Unfinished:
    """The note of a move, in a file that outlives the process."""

    def __init__(self, allocation_id: str, folder: Path | None = None) -> None:
        self._path = (folder or state_dir()) / "moves" / f"{allocation_id}.json"

    def begin(self, source: str, target: str) -> None:
        """Write it down, before the API is asked."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"source": source, "target": target, "since": utc_now()}) + "\n", encoding="utf-8")
        new.replace(self._path)

    def end(self) -> None:
        """It came to its end, or was taken back."""
        self._path.unlink(missing_ok=True)

    def begun(self) -> Begun | None:
        """A move that another run did not bring to its end; None where there is none."""
        try:
            found: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return Begun(str(found["source"]), str(found["target"]), str(found["since"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise WorkloadError(f"{self._path} cannot be read ({error})", "remove it") from error


@contextmanager
def alone(allocation_id: str, task: str, folder: Path | None = None) -> Iterator[None]:
    """Nobody else on this machine moves that address meanwhile. The second is refused, with who is first."""
    path = (folder or state_dir()) / "moves" / f"{allocation_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            # The kernel lets go of it when the process ends, however that ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            first = " ".join(file.read().split()) or "another task"
            raise WorkloadError(
                f"{allocation_id} is being moved by {first}", "wait for its end, or end it with Ctrl-C"
            ) from None
        file.truncate()
        file.write(f"{task} (process {os.getpid()} on {socket.gethostname()}, since {utc_now()})\n")
        file.flush()
        yield
