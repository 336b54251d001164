"""Machines that encrypted-backup can use: those of iscsi-tunnel."""

from workloads.inventory_example import example
from workloads.iscsi_tunnel.example import ROLES

EXAMPLE = example("encrypted-backup", ROLES, volumes={"server": 1})
