"""The Fabric tasks of inventories: `fab inventory.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workloads.experiment import REQUIRED, Option
from workloads.fabric_tasks import collection, make_task
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads import inventory_example
else:
    inventory_example = lazy_import("workloads.inventory_example")

TASKS = collection(
    "inventory",
    make_task(
        "example",
        "Print an inventory to start from.\n\n"
        "Put in your machines' addresses, ids and host keys (docs/how-to/own-machines.md).",
        lambda experiment: print(inventory_example.example_json(experiment)),
        Option("experiment", "its name, as `fab --list` has it", REQUIRED),
    ),
)
