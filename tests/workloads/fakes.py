"""What the tests of the tasks share: an inventory, and hosts that only remember what they were sent."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from inventory import Inventory
from workloads.connectors.pool import ConnectionPool
from workloads.connectors.script import Script, ScriptResult, facts_in
from workloads.console import Console
from workloads.deployment import Deployment
from workloads.errors import WorkloadError
from workloads.md_raid.context import Context

T = TypeVar("T")

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> str:
    """What a tool printed on a real host, once."""
    return (RECORDED / name).read_text(encoding="utf-8")


def host_key(number: int) -> str:
    """A host key of its own for each number, in OpenSSH's form (RFC 8709, 4)."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([number] * 32)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def inventory_document(**changes: Any) -> dict[str, Any]:
    """An inventory of three storage servers with five volumes each, and a client; its ids are those recorded."""
    volumes = json.loads(recorded("volumes.json"))

    def host(name: str, role: str, last: int) -> dict[str, Any]:
        return {
            "name": name,
            "role": role,
            "id": f"i-{last:017d}",
            "type": "c4.8xlarge",
            "zone": "eu-central-1a",
            "address": f"198.51.100.{last}",
            "port": 22,
            "private_address": f"10.20.1.{last}",
            "host_keys": [host_key(last)],
            "cpu_limit": 4,
            "memory_limit_mib": 2048,
            "volumes": [
                {"id": each, "device": f"/dev/sd{letter}", "size_gib": 50, "type": "gp2", "iops": 150}
                for each, letter in zip(volumes.get(name, []), "fghij", strict=False)
            ],
        }

    document: dict[str, Any] = {
        "schema": 1,
        "project": "tidemark",
        "stack": "md-raid.test",
        "experiment": "md-raid",
        "region": "eu-central-1",
        "rehearsal": False,
        "expires_at": None,
        "ssh": {"user": "admin", "identity_file": None, "proxy_command": None},
        "network": {"mtu": 9001, "cidr": "10.20.0.0/16", "vpc_id": "vpc-0"},
        "hosts": [
            host("storage-1", "storage", 11),
            host("storage-2", "storage", 12),
            host("storage-3", "storage", 13),
            host("client", "client", 20),
        ],
    }
    return document | changes


def with_servers(servers: int) -> dict[str, Any]:
    """An inventory document of so many storage servers, each with volumes of its own."""
    document = inventory_document()
    *storage, client = document["hosts"]
    made = []
    for number in range(1, servers + 1):
        name, last = f"storage-{number}", 30 + number
        volumes = [{**each, "id": f"vol-{number}-{place}"} for place, each in enumerate(storage[0]["volumes"], start=1)]
        addresses = {"address": f"198.51.100.{last}", "private_address": f"10.20.1.{last}"}
        keys = {"id": f"i-{last:017d}", "host_keys": [host_key(last)]}
        made.append({**storage[0], **addresses, **keys, "name": name, "volumes": volumes})
    return {**document, "hosts": [*made, client]}


def inventory_of(document: dict[str, Any]) -> Inventory:
    """The inventory that a document describes."""
    return Inventory.from_json(json.dumps(document), "test")


Answer = Callable[[str, str, list[str]], str]


@dataclasses.dataclass
class FakeConnector:
    """A connection that hands each script to the fake hosts."""

    hosts: FakeHosts
    name: str

    def run(
        self,
        script: Script,
        arguments: Iterable[str] = (),
        *,
        on_line: Callable[[str], None] | None = None,
        **_: object,
    ) -> ScriptResult:
        self.hosts.sent.append((self.name, script.name, list(arguments)))
        stdout = self.hosts.answer(*self.hosts.sent[-1])
        for line in stdout.splitlines() if on_line else []:
            assert on_line is not None
            on_line(line)
        return ScriptResult(self.name, stdout, "", facts_in(stdout))


class FakeHosts(ConnectionPool):
    """Hosts that remember what they were sent, one after the other, and answer as a test says.

    `answer` gets a host's name, a script's name and its arguments, and returns its output or raises; `dead` hosts
    can't be reached.
    """

    def __init__(self, inventory: Inventory, answer: Answer) -> None:
        super().__init__(inventory, {})
        self.answer = answer
        self.sent: list[tuple[str, str, list[str]]] = []
        self.dead: set[str] = set()
        self.dropped: set[str] = set()

    def connector(self, name: str) -> Any:
        if name in self.dead:
            raise WorkloadError("SSH does not answer", "see whether it is up", name)
        return FakeConnector(self, name)

    def drop(self, name: str) -> None:
        self.dropped.add(name)

    def each(self, names: Iterable[str], work: Callable[[Any], T], *, threads_max: int | None = None) -> dict[str, T]:
        return {name: work(self.connector(name)) for name in names}


def fake_context(inventory: Inventory, answer: Answer) -> tuple[Context, FakeHosts]:
    """A context whose hosts are fake."""
    hosts = FakeHosts(inventory, answer)
    return Context.of(Deployment(hosts, Console())), hosts
