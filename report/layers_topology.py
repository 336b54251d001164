"""A drawing of what ran where as layers, one below the other, each joined to the next by what goes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from report.format import MISSING, unbreakable
from report.inventory_view import objects
from report.page import Html, Missing
from report.runs import Record

UNKNOWN = Missing("The manifest has no inventory: what ran where is not known.")


@dataclass(frozen=True)
class Box:
    name: str
    words: str
    kind: str = "client"  # client, server, array (what is built of others) or part (what a server has)


@dataclass(frozen=True)
class Layer:
    boxes: Sequence[Box]
    link: str = field(default="")  # between it and the next


def layers(title: str, shown: Sequence[Layer]) -> Html:
    return Html("layers_topology.html.j2", {"title": title, "layers": shown})


def host_in(inventory: Record, role: str) -> Record | None:
    """The first of that role that has a name."""
    hosts = [host for host in objects(inventory, "hosts") if isinstance(host.get("name"), str)]
    return next((host for host in hosts if host.get("role") == role), None)


def host_box(host: Record, *more: str, kind: str = "client") -> Box:
    return Box(unbreakable(str(host["name"])), joined(host.get("type"), host.get("zone"), *more), kind)


def mtu_words(inventory: Record) -> str:
    network = inventory.get("network")
    mtu = network.get("mtu") if isinstance(network, dict) else None
    return f"MTU {MISSING if mtu is None else mtu}"


def joined(*words: object) -> str:
    return " \u00b7 ".join(str(word) for word in words if word) or MISSING
