"""Machines that md-raid can use."""

from workloads.inventory_example import example
from workloads.md_raid.settings import MIRROR_LEGS

_SERVERS = {f"storage-{number}": "storage" for number in range(1, MIRROR_LEGS + 1)}
EXAMPLE = example("md-raid", {**_SERVERS, "client": "client"}, volumes={"storage": 5})
