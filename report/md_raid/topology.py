"""What the topology drawing shows: a column for each mirror, a row for each storage server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from report.format import MISSING, size_bytes, unbreakable
from report.inventory_view import host_words, objects
from report.md_raid.schema import Array
from report.page import Html, Missing
from report.runs import Record


def topology(inventory: Record, arrays: Sequence[Array]) -> Html | Missing:
    hosts = [host for host in objects(inventory, "hosts") if isinstance(host.get("name"), str)]
    servers = [host for host in hosts if host.get("role") == "storage"]
    if not hosts:
        return Missing("The manifest has no inventory: what ran where is not known.")
    # The stripe has legs, too, but they are the mirrors and lie on no server.
    mirrors = [array for array in arrays if any(leg.server for leg in array.legs)]
    stripe = next((array for array in arrays if array.level == "raid0"), None)
    columns = [{"name": mirror.array, "words": _array_words(mirror)} for mirror in mirrors]
    placed = {(leg.server, mirror.array): leg.volume for mirror in mirrors for leg in mirror.legs}
    rows: list[tuple[dict[str, str], list[dict[str, Any] | None]]] = []
    loose_columns = 0
    for server in servers:
        volumes: dict[str | None, Record] = {str(volume.get("id")): volume for volume in objects(server, "volumes")}
        cells = [_volume(volumes.pop(placed.get((server["name"], m.array)), None)) for m in mirrors]
        # Volumes that are in no mirror stand to the right of the mirrors.
        cells += [_volume(volume) for volume in volumes.values()]
        loose_columns = max(loose_columns, len(volumes))
        rows.append((host_words(server), cells))
    columns += [{"name": MISSING, "words": "no mirror"}] * loose_columns
    for _, cells in rows:
        cells += [None] * (len(columns) - len(cells))
    network = inventory.get("network")
    mtu = network.get("mtu") if isinstance(network, dict) else None
    return Html(
        "md_raid_topology.html.j2",
        {
            "clients": [host_words(host) for host in hosts if host.get("role") != "storage"],
            "stripe": stripe and {"name": stripe.array, "words": _array_words(stripe)},
            "columns": columns,
            "rows": [{"server": server, "cells": cells} for server, cells in rows],
            "link": f"iSCSI, a target for each volume, MTU {MISSING if mtu is None else mtu}",
            "note": (
                "A column is a mirror, a row a storage server: each mirror has one leg on each server."
                if mirrors
                else "Which volume is a leg of which mirror was not recorded."
            ),
        },
    )


def _volume(volume: Record | None) -> dict[str, Any] | None:
    if volume is None:
        return None
    identity = str(volume.get("id") or MISSING)
    prefix, last = ("", identity) if len(identity) <= 12 else (f"{identity[:4]}…", identity[-4:])
    size = volume.get("size_gib")
    words = [str(volume.get("type") or MISSING), f"{size} GiB" if isinstance(size, int) else MISSING]
    return {"prefix": unbreakable(prefix), "name": unbreakable(last), "words": " · ".join(words)}


def _array_words(array: Array) -> str:
    level = array.level.upper().replace("RAID", "RAID-")
    parts = [level, array.layout, size_bytes(array.size_bytes) if array.size_bytes is not None else None]
    return " · ".join(part for part in parts if part)
