"""Where the region keeps its files; it writes nowhere else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: `__main__.py`, stacks/ and the region's own folder lie in it."""


def lab_dir() -> Path:
    """The running region: its socket, inventory, key, hosts and logs (TIDEMARK_LAB_DIR, or .lab in the checkout)."""
    return Path(os.environ.get("TIDEMARK_LAB_DIR") or PROJECT / ".lab").absolute()


def without_separators(path: Path, variable: str) -> Path:
    """Returns the path. Raises LabError if it has a character that separates words on a kernel's command line."""
    if any(each.isspace() or each in ",:\"'" for each in str(path)):
        shown = path if str(path).isprintable() else repr(str(path))
        raise LabError(f"{shown}: a space, comma, colon or quote in the path; name another one with {variable}")
    return path


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Returns an address of a Unix socket for the duration of the block: it has 107 bytes at most, and a path in a
    checkout may have more.
    """
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def results_dir() -> Path:
    """Where the tasks keep results (TIDEMARK_RESULTS_DIR, or results/ in the checkout)."""
    return Path(os.environ.get("TIDEMARK_RESULTS_DIR") or PROJECT / "results")


def cache_dir() -> Path:
    """What is worth keeping between regions: root images (XDG_CACHE_HOME, or ~/.cache)."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(given) if given else Path.home() / ".cache"
    except RuntimeError:
        raise LabError("HOME is not set, and this user has no entry in /etc/passwd; set XDG_CACHE_HOME") from None
    return base.absolute() / "tidemark"
