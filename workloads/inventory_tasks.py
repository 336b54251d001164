"""The Fabric tasks of inventories: `fab inventory.TASK`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from workloads.fabric_tasks import REQUIRED_HELP, collection, reported
from workloads.lazy_import import lazy_import

if TYPE_CHECKING:
    from workloads import inventory_example
else:
    inventory_example = lazy_import("workloads.inventory_example")


@task(positional=["experiment"], help={"experiment": "its name, as `fab --list` has it" + REQUIRED_HELP})
@reported
def example(_: Any, experiment: str) -> None:
    """Print an inventory to start from.

    Put in your machines' addresses, ids and host keys
    (docs/how-to/own-machines.md).
    """
    print(inventory_example.example_json(experiment))


TASKS = collection("inventory", example)
