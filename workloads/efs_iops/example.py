"""Machines and a file system that efs-iops can use."""

from inventory import FileSystem, MountTarget
from workloads.inventory_example import ZONE, example

EXAMPLE = example(
    "efs-iops",
    {"client-1": "client", "client-2": "client"},
    file_system=FileSystem("mine", None, None, None, None, (MountTarget("mine", ZONE, "198.51.100.20"),)),
)
