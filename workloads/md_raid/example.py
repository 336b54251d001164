"""Machines that md-raid can use."""

from workloads.inventory_example import example

# As the original had them; two to eight are taken.
_SERVERS = {f"storage-{number}": "storage" for number in range(1, 4)}
EXAMPLE = example("md-raid", {**_SERVERS, "client": "client"}, volumes={"storage": 5})
