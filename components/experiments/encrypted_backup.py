"""encrypted-backup: the tunnel's server and volume, a client that is backed up, a blank machine that restores it."""

from __future__ import annotations

from pathlib import Path

from components import tunnel
from components.checked_stack import Checked
from components.settings import Settings

NAME = "encrypted-backup"


def check(settings: Settings, project: str, directory: Path) -> Checked[tunnel.TunnelConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    return tunnel.check(settings, project, directory, NAME)
