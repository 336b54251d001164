"""The project's folders, and paths that a person gives on the command line or in the inventory."""

from __future__ import annotations

import os
from pathlib import Path

from workloads.errors import WorkloadError

PROJECT = Path(__file__).resolve().parent.parent


def lab_dir() -> Path:
    """Returns the rehearsal region's folder (TIDEMARK_LAB_DIR, or .lab)."""
    return Path(os.environ.get("TIDEMARK_LAB_DIR") or PROJECT / ".lab")


def state_dir() -> Path:
    """Returns the folder of state about deployments (TIDEMARK_STATE_DIR, or .tidemark)."""
    return Path(os.environ.get("TIDEMARK_STATE_DIR") or PROJECT / ".tidemark")


def results_root() -> Path:
    """Returns the folder of all results (TIDEMARK_RESULTS_DIR, or results)."""
    return Path(os.environ.get("TIDEMARK_RESULTS_DIR") or PROJECT / "results")


def user_path(text: str) -> Path:
    """Returns the path with a leading ~ expanded; leaves ~USER of an unknown user, which names no file."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def output_path(text: str) -> Path:
    """Returns the path of `--output`. Raises WorkloadError when no file can be written there."""
    path = user_path(text)
    try:
        if path.is_dir():
            raise WorkloadError(f"--output {text}: that is a directory", "give a file in it")
        if not path.parent.is_dir():
            raise WorkloadError(
                f"--output {text}: there is no directory {path.parent}", "give a file in an existing directory"
            )
    except OSError as error:
        raise WorkloadError(f"--output {text}: {error.strerror}", "give another file") from error
    return path
