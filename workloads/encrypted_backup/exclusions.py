"""What --exclude may be, checked before anything is started; its meaning is in scripts/selection.py."""

from __future__ import annotations

from collections.abc import Sequence

from workloads.errors import WorkloadError

ALLOWED = (
    "give a name such as .cache, the end of a path such as .local/share/Trash, or a path from the root such as "
    "/home/*/.cache; * and ? stand for any characters but a slash, and a slash at the end takes directories alone"
)
# rsync takes these for more than the host's program does.
NOT_TAKEN = ("[", "\\", "**", "\0", "\n")


def checked(patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns; raises WorkloadError for one that would match nothing, or not the same everywhere."""
    for pattern in patterns:
        names = pattern.removesuffix("/").removeprefix("/").split("/")
        if any(each in pattern for each in NOT_TAKEN) or any(name in ("", ".", "..") for name in names):
            raise WorkloadError(f"--exclude {pattern!r} is no pattern", ALLOWED)
    return tuple(patterns)
