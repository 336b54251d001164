"""Where the region keeps its files. Nothing of it lies anywhere else on the machine."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: `__main__.py`, stacks/ and the region's own folder lie in it."""


def lab_dir() -> Path:
    """The running region: its socket, inventory, key, hosts and logs (TIDEMARK_LAB_DIR, or .lab in the checkout)."""
    return Path(os.environ.get("TIDEMARK_LAB_DIR") or PROJECT / ".lab").absolute()


def cache_dir() -> Path:
    """What is worth keeping between regions: root images (XDG_CACHE_HOME, or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tidemark"
