"""Where a run is kept when the disk of the results is full: another file system of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

# A record is two kilobytes (docs/design.md: a million are two gigabytes), and a short plan makes some ten thousand.
LEAST_FREE_BYTES = 128 << 20


def free_bytes(folder: Path) -> int:
    """What may be written below a folder, which need not be there yet. Raises OSError."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return shutil.disk_usage(there).free


def candidates() -> Sequence[Path]:
    """Folders of this machine that are likely to be on different file systems, the likeliest first."""
    return (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.home(), Path("/dev/shm"))


def spare_folder(instead_of: Path) -> Path | None:
    """A new folder on another file system than `instead_of` is on, with room for a run; None where there is none."""
    full: set[int] = set()
    with contextlib.suppress(OSError):
        full.add(instead_of.stat().st_dev)
    for place in candidates():
        with contextlib.suppress(OSError, RuntimeError):
            if place.stat().st_dev not in full and os.access(place, os.W_OK) and free_bytes(place) >= LEAST_FREE_BYTES:
                return Path(tempfile.mkdtemp(prefix="tidemark-results-", dir=place))
    return None


def copy_what_can_be_read(source: Path, to: Path) -> None:
    """Copies a folder; a file that can't be read is left out."""
    with contextlib.suppress(shutil.Error, OSError):
        shutil.copytree(source, to, dirs_exist_ok=True)
