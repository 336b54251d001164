"""Gives files that root made under sudo to the user who called sudo (SUDO_UID, SUDO_GID)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lab.paths import PROJECT, cache_dir, lab_dir

UNSHARED_LINKS = 1


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
        if found.st_uid == 0 and (path.is_dir() or found.st_nlink == UNSHARED_LINKS):
            os.lchown(path, *to)


def chown_all_to_sudo_caller() -> None:
    """Gives away all that a rehearsal or a test run makes: in the checkout, if it is the caller's, and in the cache."""
    to = sudo_caller()
    if to is None:
        return
    places = [PROJECT, lab_dir(), cache_dir()]
    given = (os.environ.get(variable) for variable in ("TIDEMARK_RESULTS_DIR", "TIDEMARK_STATE_DIR"))
    places += [Path(place) for place in given if place]
    # A folder that neither is nor lies in the caller's was root's before, and stays.
    chown_to_sudo_caller(*(place for place in places if place.exists() and _is_callers(place, to[0])))


def _is_callers(place: Path, user: int) -> bool:
    """Whether the folder, or the one in which root made it, is the user's."""
    return any(each.stat().st_uid == user for each in (place, place.parent))
