"""What ran where: a table of the hosts, and a drawing of layers of boxes with what goes between two written between.

No field of the inventory is taken for granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.format import MISSING, size_bytes, unbreakable
from report.page import Html
from report.records import Record, objects
from report.table import Column, Missing, Table

NO_INVENTORY = Missing("The manifest has no inventory: what ran where is not known.")


def hosts_table(inventory: Record, note: str) -> Table:
    """Returns the table of hosts, with a column for volumes if one has some. `note` says how the limits are set."""
    hosts = objects(inventory, "hosts")
    columns = [Column(name) for name in ("host", "role", "type", "zone", "private address")]
    columns += [Column("CPU limit", True), Column("memory limit", True)]
    keys = ("name", "role", "type", "zone", "private_address", "cpu_limit")
    rows = []
    for host in hosts:
        memory = host.get("memory_limit_mib")
        row = [MISSING if host.get(key) is None else str(host[key]) for key in keys]
        rows.append([*row, size_bytes(memory << 20 if isinstance(memory, int) else None)])
    if any(objects(host, "volumes") for host in hosts):
        columns.append(Column("volumes", True))
        for host, row in zip(hosts, rows, strict=True):
            row.append(str(len(objects(host, "volumes"))) if "volumes" in host else MISSING)
    return Table("Hosts", columns, rows, f"{note} {MISSING}: not limited.", name="hosts", page_only=True)


@dataclass(frozen=True)
class Box:
    name: str
    text: str
    kind: str = "client"  # client, server, array (what is built of others) or none


@dataclass(frozen=True)
class Layer:
    boxes: Sequence[Box]
    link: str = ""  # between this layer and the next


def layers(title: str, shown: Sequence[Layer]) -> Html:
    return Html("topology.html.j2", {"title": title, "layers": [layer for layer in shown if layer.boxes]})


def named_hosts(inventory: Record, role: str | None = None) -> list[Record]:
    hosts = [host for host in objects(inventory, "hosts") if isinstance(host.get("name"), str)]
    return [host for host in hosts if role is None or host.get("role") == role]


def host_in(inventory: Record, role: str) -> Record | None:
    return next(iter(named_hosts(inventory, role)), None)


def host_box(host: Record, *more: str, kind: str = "client") -> Box:
    return Box(unbreakable(str(host["name"])), joined(host.get("type"), host.get("zone"), *more), kind)


def mtu_text(inventory: Record) -> str:
    network = inventory.get("network")
    mtu = network.get("mtu") if isinstance(network, dict) else None
    return f"MTU {MISSING if mtu is None else mtu}"


def joined(*parts: object) -> str:
    return " \u00b7 ".join(str(part) for part in parts if part) or MISSING


def volume_text(volume: Record) -> str:
    size = volume.get("size_gib")
    return joined(volume.get("type"), f"{size} GiB" if isinstance(size, int) else None)


def tunnel_topology(inventory: Record, *, client: str, disk: str, third_host: str) -> Html | Missing:
    """Draws the client, the SSH tunnel, the server and its volumes. `client` and `disk` say what is done with
    them, `third_host` what the host outside the tunnel is for.
    """
    server = host_in(inventory, "server")
    if server is None:
        return NO_INVENTORY
    tunnel_client, third = host_in(inventory, "client"), host_in(inventory, "third")
    # Without a client among the hosts it is the user's own machine.
    first = [host_box(tunnel_client, client) if tunnel_client else Box("this machine", client)]
    if third:
        first.append(host_box(third, third_host))
    volumes = [Box(str(each.get("id") or MISSING), volume_text(each), "array") for each in objects(server, "volumes")]
    return layers(
        "The client, the tunnel and the volume",
        [
            Layer(first, f"ssh -w, port 22; iSCSI inside, by no other way; {mtu_text(inventory)} outside the tunnel"),
            Layer([host_box(server, "target, listens inside the tunnel", kind="server")], disk),
            Layer(volumes or [Box("no volume", MISSING, "none")]),
        ],
    )
