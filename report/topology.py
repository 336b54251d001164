"""Draws what ran where as layers of boxes, with what goes between two layers written between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.format import MISSING, unbreakable
from report.inventory_view import objects
from report.page import Html
from report.records import Record
from report.table import Missing

NO_INVENTORY = Missing("The manifest has no inventory: what ran where is not known.")


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
    """The client, the SSH tunnel, the server and its volumes. `client` and `disk` say what the experiment does with
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
