"""iscsi-tunnel: one volume of one server, which the iSCSI target exports only to the other end of an SSH tunnel."""

from __future__ import annotations

from components.experiment import Experiment
from components.tunnel import Tunnel, check

EXPERIMENT = Experiment("iscsi-tunnel", check, Tunnel)
