"""What root makes in a user's folders belongs to that user afterwards.

sudo names the user (SUDO_UID, SUDO_GID). Without it nothing changes hands.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lab.paths import PROJECT, cache_dir, lab_dir

UNSHARED_LINKS = 1


def caller() -> tuple[int, int] | None:
    """User and group of whoever called sudo; None where this is no root by sudo."""
    try:
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (user, group) if os.geteuid() == 0 and user != 0 else None


def chown_to_sudo_caller(*paths: Path) -> None:
    """Hand what is root's at and below these paths to the caller of sudo. Symbolic links are not followed, and a file
    with a second name, which may be anywhere, stays root's.
    """
    to = caller()
    if to is None:
        return
    for path in paths:
        _give(path, to)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                _give(Path(folder, name), to)


def _give(path: Path, to: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or not on a file system that has owners
        found = path.lstat()
        if found.st_uid == 0 and (path.is_dir() or found.st_nlink == UNSHARED_LINKS):
            os.lchown(path, *to)


def chown_all_to_sudo_caller() -> None:
    """All that a rehearsal or a test run makes: in the checkout where that is the caller's, and in its cache."""
    to = caller()
    if to is None:
        return
    places = [PROJECT, lab_dir(), cache_dir()]
    given = (os.environ.get(variable) for variable in ("TIDEMARK_RESULTS_DIR", "TIDEMARK_STATE_DIR"))
    places += [Path(place) for place in given if place]
    # A folder in which nothing is the caller's own was root's before: it stays.
    chown_to_sudo_caller(*(place for place in places if place.exists() and _in_callers_hands(place, to[0])))


def _in_callers_hands(place: Path, user: int) -> bool:
    """Whether the folder, or the one in which root made it, is the user's."""
    return any(each.stat().st_uid == user for each in (place, place.parent))
