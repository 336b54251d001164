"""Draws the arrays: a column for each mirror, a row for each storage server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from report.format import MISSING, size_bytes, unbreakable
from report.md_raid.schema import Array
from report.page import Html
from report.records import Record, objects
from report.table import Missing
from report.topology import NO_INVENTORY, joined, mtu_text, named_hosts, volume_text


def topology(inventory: Record, arrays: Sequence[Array]) -> Html | Missing:
    hosts, servers = named_hosts(inventory), named_hosts(inventory, "storage")
    if not hosts:
        return NO_INVENTORY
    # The stripe has legs, too, but they are the mirrors and lie on no server.
    mirrors = [array for array in arrays if any(leg.server for leg in array.legs)]
    stripe = next((array for array in arrays if array.level == "raid0"), None)
    columns = [_array(mirror) for mirror in mirrors]
    volume_of = {(leg.server, mirror.array): leg.volume for mirror in mirrors for leg in mirror.legs}
    rows: list[tuple[dict[str, str], list[dict[str, Any] | None]]] = []
    columns_without_mirror = 0
    for server in servers:
        volumes: dict[str | None, Record] = {str(volume.get("id")): volume for volume in objects(server, "volumes")}
        cells = [_volume(volumes.pop(volume_of.get((server["name"], m.array)), None)) for m in mirrors]
        # Volumes that are in no mirror stand to the right of the mirrors.
        cells += [_volume(volume) for volume in volumes.values()]
        columns_without_mirror = max(columns_without_mirror, len(volumes))
        rows.append((_host(server), cells))
    columns += [{"name": MISSING, "text": "no mirror"}] * columns_without_mirror
    for _, cells in rows:
        cells += [None] * (len(columns) - len(cells))
    return Html(
        "md_raid/topology.html.j2",
        {
            "clients": [_host(host) for host in hosts if host.get("role") != "storage"],
            "stripe": stripe and _array(stripe),
            "columns": columns,
            "rows": [{"server": server, "cells": cells} for server, cells in rows],
            "link": f"iSCSI, a target for each volume, {mtu_text(inventory)}",
            "note": (
                "A column is a mirror, a row a storage server: each mirror has one leg on each server."
                if mirrors
                else "Which volume is a leg of which mirror was not recorded."
            ),
        },
    )


def _host(host: Record) -> dict[str, str]:
    return {"name": unbreakable(str(host["name"])), "text": str(host.get("type") or MISSING)}


def _volume(volume: Record | None) -> dict[str, Any] | None:
    if volume is None:
        return None
    identity = str(volume.get("id") or MISSING)
    prefix, last = ("", identity) if len(identity) <= 12 else (f"{identity[:4]}…", identity[-4:])
    return {"prefix": unbreakable(prefix), "name": unbreakable(last), "text": volume_text(volume)}


def _array(array: Array) -> dict[str, str]:
    level = array.level.upper().replace("RAID", "RAID-")
    size = size_bytes(array.size_bytes) if array.size_bytes is not None else None
    return {"name": array.array, "text": joined(level, array.layout, size)}
