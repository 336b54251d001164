"""Machines that iscsi-tunnel can use."""

from workloads.inventory_example import example

ROLES = {"server": "server", "client": "client", "third": "third"}
EXAMPLE = example("iscsi-tunnel", ROLES, volumes={"server": 1})
