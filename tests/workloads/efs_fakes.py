"""Clients of an EFS file system that only act as if: they remember what they were sent and answer as a test says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from inventory import Inventory
from tests.workloads.fakes import inventory_document, inventory_of
from workloads.connectors.script import Script, ScriptResult, facts_in
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.efs_iops.context import Context
from workloads.errors import WorkloadError
from workloads.results import Results

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


@dataclasses.dataclass
class FakeClient:
    """One connection."""

    hosts: FakeClients
    name: str

    def run(
        self,
        script: Script,
        arguments: Iterable[str] = (),
        *,
        on_line: Callable[[str], None] | None = None,
        **_: object,
    ) -> ScriptResult:
        return self.hosts.take(self.name, script.name, list(arguments), on_line)


class FakeClients:
    """Stands for connections. `answer` gives a script's standard output, or raises; `dead` ones can't be reached."""

    def __init__(self, inventory: Inventory, answer: Callable[[str, str, list[str]], str]) -> None:
        self.inventory = inventory
        self.sent: list[tuple[str, str, list[str]]] = []
        self.dead: set[str] = set()
        self.dropped: set[str] = set()
        self._answer = answer

    def take(
        self, host: str, name: str, arguments: list[str], on_line: Callable[[str], None] | None = None
    ) -> ScriptResult:
        self.sent.append((host, name, arguments))
        stdout = self._answer(host, name, arguments)
        for line in stdout.splitlines() if on_line else []:
            assert on_line is not None
            on_line(line)
        return ScriptResult(host, stdout, "", facts_in(stdout))

    def connector(self, name: str) -> FakeClient:
        if name in self.dead:
            raise WorkloadError("SSH does not answer", "see whether it is up", name)
        return FakeClient(self, name)

    def drop(self, name: str) -> None:
        self.dropped.add(name)

    def close(self) -> None:
        """Nothing is open."""

    def each(self, names: Iterable[str], work: Callable[[Any], Any]) -> dict[str, Any]:
        return {name: work(self.connector(name)) for name in names}

    def run(
        self, script: Script, arguments: Mapping[str, Sequence[str]], *, idle_timeout_seconds: float = 0
    ) -> dict[str, ScriptResult]:
        return {name: self.take(name, script.name, list(words)) for name, words in arguments.items()}


def fake_context(
    answer: Callable[[str, str, list[str]], str], results: Results | None = None, inventory: Inventory | None = None
) -> tuple[Context, FakeClients]:
    """A context whose clients are fake."""
    hosts = FakeClients(inventory or efs_inventory(), answer)
    return Context.of(Deployment(hosts, Console(), results)), hosts  # type: ignore[arg-type]
