"""Clients of an EFS file system that only act as if: they remember what they were sent and answer as a test says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inventory import Inventory
from tests.workloads.fakes import Answer, FakeHosts, inventory_document, inventory_of
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.efs_iops.context import Context
from workloads.results import NullResults, Results

MOUNTED = (
    "rw,relatime,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,"
    "clientaddr=10.20.1.11,local_lock=none,addr=10.20.1.100"
)


def efs_inventory(clients: int = 2, **changes: Any) -> Inventory:
    """An inventory of a file system with a mount target in one zone, and clients there."""
    (like,) = [host for host in inventory_document()["hosts"] if host["name"] == "client"]
    hosts = [
        {
            **like,
            "name": f"client-{number}",
            "id": f"i-{number:017x}",
            "address": f"198.51.100.{10 + number}",
            "private_address": f"10.20.1.{10 + number}",
        }
        for number in range(1, clients + 1)
    ]
    document = {
        "stack": "efs-iops.test",
        "experiment": "efs-iops",
        "hosts": hosts,
        "file_system": {
            "id": "fs-12345678",
            "throughput_mode": "bursting",
            "provisioned_mib_per_s": None,
            "performance_mode": "generalPurpose",
            "one_zone": None,
            "mount_targets": [{"id": "fsmt-1", "zone": "eu-central-1a", "address": "10.20.1.100"}],
        },
    }
    return inventory_of(inventory_document(**{**document, **changes}))


def final_line(ops: int = 300, errors: Mapping[str, int] | None = None, size: int = 1) -> str:
    """A worker's last line, of three seconds."""
    latency = {"count": ops, "sum": ops * 8_000_000, "min": 1, "max": 9, "buckets": []}
    return json.dumps(
        {
            "schema": 1,
            "kind": "final",
            "ops": ops,
            "bytes": ops * size,
            "errors": dict(errors or {}),
            "t_start_unix_s": 100.0,
            "t_end_unix_s": 103.0,
            "latency_ns": latency,
        }
    )


def fake_context(
    answer: Answer, results: Results | None = None, inventory: Inventory | None = None, *, tls: bool = False
) -> tuple[Context, FakeHosts]:
    """A context whose clients are fake."""
    hosts = FakeHosts(inventory or efs_inventory(), answer)
    return Context.of(Deployment(hosts, Console(), results or NullResults()), tls=tls), hosts
