"""encrypted-backup: the tunnel's server and volume, a client that is backed up, a blank machine that restores it."""

from __future__ import annotations

from components.experiment import Experiment
from components.tunnel import Tunnel, check

EXPERIMENT = Experiment("encrypted-backup", check, Tunnel)
