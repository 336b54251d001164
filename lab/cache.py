"""Files that are kept between regions: made once, locked while they are used, deleted when newer ones replace them."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

KEPT = 2  # the newest and the one before, for switching between two branches


@contextmanager
def cache_lock(folder: Path) -> Iterator[None]:
    """Makes the folder and locks it: of two rehearsals at once one makes a file, and the other waits for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lock_for_use(file: Path) -> IO[bytes]:
    """Keeps a file from being deleted as long as what this returns is open."""
    opened = file.open("rb")
    fcntl.flock(opened, fcntl.LOCK_SH)
    return opened


def delete_old(folder: Path, pattern: str, locked_file: str, scratch: str) -> None:
    """Deletes all but the newest entries of a pattern, unless they are in use, and what killed processes left.

    `locked_file` is the path, inside an entry, of the file that `lock_for_use` locks; empty for the entry itself.
    """
    newest_first = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[KEPT:]:
        with (path / locked_file).open("rb") as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for left in folder.glob(scratch):  # the cache's lock is held, so nobody uses them
        shutil.rmtree(left, ignore_errors=True)
