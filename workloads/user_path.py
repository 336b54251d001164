"""A path as a person gives it, on the command line or in the inventory."""

from __future__ import annotations

from pathlib import Path

from workloads.errors import WorkloadError


def user_path(text: str) -> Path:
    """`text` with a ~ at its beginning expanded. That of a user who is not known here stays: no such file is there."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def output_path(text: str) -> Path:
    """The file that `--output` names, looked at before anything is done for it. Raises WorkloadError."""
    path = user_path(text)
    try:
        if path.is_dir():
            raise WorkloadError(f"--output {text}: that is a directory", "give a file in it")
        if not path.parent.is_dir():
            raise WorkloadError(
                f"--output {text}: there is no directory {path.parent}", "give a file in one that is there"
            )
    except OSError as error:
        raise WorkloadError(f"--output {text}: {error.strerror}", "give another file") from error
    return path
