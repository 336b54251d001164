"""iscsi-tunnel: one volume of one server, exported by iSCSI to nobody but the other end of an SSH tunnel."""

from __future__ import annotations

from pathlib import Path

from components import tunnel
from components.checked_stack import Checked
from components.settings import Settings

NAME = "iscsi-tunnel"


def check(settings: Settings, project: str, directory: Path) -> Checked[tunnel.TunnelConfig]:
    """Read and validate everything. Raises ValidationError with every fault; creates nothing."""
    return tunnel.check(settings, project, directory, NAME)
