"""Where the region keeps its files (it writes nowhere else), and to whom they are given.

Files that root makes under sudo are given to the user who called sudo (SUDO_UID, SUDO_GID).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: `__main__.py`, stacks/ and the region's own folder lie in it."""


def lab_dir() -> Path:
    """Returns the region's folder, with its socket, inventory, key, hosts and logs: TIDEMARK_LAB_DIR, or .lab here."""
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
    """Returns where the tasks keep results (TIDEMARK_RESULTS_DIR, or results/ in the checkout)."""
    return Path(os.environ.get("TIDEMARK_RESULTS_DIR") or PROJECT / "results")


def cache_dir() -> Path:
    """Returns the folder of what is kept between regions: kernels, root images (XDG_CACHE_HOME, or ~/.cache)."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(given) if given else Path.home() / ".cache"
    except RuntimeError:
        raise LabError("HOME is not set, and this user has no entry in /etc/passwd; set XDG_CACHE_HOME") from None
    return base.absolute() / "tidemark"


def sudo_caller() -> tuple[int, int] | None:
    """Returns the user and group that called sudo; None if this process is not root by sudo."""
    try:
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (user, group) if os.geteuid() == 0 and user != 0 else None


def chown_to_sudo_caller(*paths: Path) -> None:
    """Gives root's files at and below these paths to the caller of sudo.

    Does not follow symbolic links. A file with a second hard link, which may be anywhere, stays root's.
    """
    to = sudo_caller()
    if to is None:
        return
    for path in paths:
        _chown(path, to)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                _chown(Path(folder, name), to)


def _chown(path: Path, to: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):  # deleted meanwhile, or on a file system without owners
        found = path.lstat()
        if found.st_uid == 0 and (path.is_dir() or found.st_nlink == 1):
            os.lchown(path, *to)


def chown_all_to_sudo_caller() -> None:
    """Gives away all that a rehearsal or a test run makes: in the checkout, if it is the caller's, and in the cache."""
    to = sudo_caller()
    if to is None:
        return
    places = [PROJECT, lab_dir(), cache_dir()]
    given = (os.environ.get(variable) for variable in ("TIDEMARK_RESULTS_DIR", "TIDEMARK_STATE_DIR"))
    places += [Path(place) for place in given if place]
    user, _ = to
    for place in places:
        # A folder that neither is the caller's nor lies in one of theirs was root's before, and stays.
        if place.exists() and user in (place.stat().st_uid, place.parent.stat().st_uid):
            chown_to_sudo_caller(place)
