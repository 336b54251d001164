"""md-raid: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from report.claims import Claim
from report.format import MISSING, figure, ratio, seconds, size_bytes, unbreakable
from report.known_answers import known_answers_section
from report.md_raid.cells import read_cells, scaling, volume_figures
from report.md_raid.drill import configured_arrays, phases_of, read_array_records, read_drill
from report.md_raid.drill_figure import drill_plot
from report.md_raid.figures import latency_plot, scaling_plot
from report.md_raid.hosts import read_hosts
from report.md_raid.known_answers import read_known_answers
from report.md_raid.layouts_and_writes import layouts_of, read_writes
from report.md_raid.schema import SCHEMA, Array, Summary
from report.md_raid.tables import (
    PROOFS,
    drill_table,
    latency_tables,
    layouts_table,
    md_cost_table,
    outcome_table,
    sweep_tables,
    writes_table,
)
from report.page import Block, Html, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.records import Record, objects
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import NO_INVENTORY, hosts_table, joined, mtu_text, named_hosts, volume_text
from report.worker import read_worker

KNOWN_ANSWERS_NOTE = (
    "The run is not told the model: it finds these by measuring. Of the rest of this report, only the limits and their "
    "ceilings take the rates of links and volumes from it."
)
QUESTION = "Does Linux md RAID over iSCSI scale to 10\u00a0Gbit/s, and survive the loss of all servers but one?"


def summarize(run: Run) -> Summary:
    hosts = read_hosts(run)
    workers = read_worker(run, keep_histograms="drill-")
    cells = read_cells(run, workers, hosts)
    known_names = {*(cell.cell for cell in cells), *phases_of(run)}
    for name in (name for name in workers if name not in known_names):
        run.problem(f"raw/worker.ndjson: cell {name} is not in raw/cells.ndjson, left out")
    array_records = read_array_records(run)
    drill = read_drill(run, workers, array_records)
    proofs = read_proofs(run)
    return Summary(
        **run_fields(run, SCHEMA),
        cells=cells,
        volume=volume_figures(cells),
        scaling=scaling(cells),
        ceilings=hosts.ceilings(),
        layouts=layouts_of(cells),
        writes=read_writes(run, cells),
        known_answers=read_known_answers(hosts, cells),
        drill=drill,
        arrays=configured_arrays(array_records),
        proofs=proofs,
        problems=list(run.problems),
    )


def page(manifest: Manifest, summary: Summary, _: Sequence[Claim] = ()) -> Page:
    nothing_measured = Missing("No cell of the sweep was recorded.")
    md_cost: Block | None = None
    if summary.scaling.md_cost:
        md_cost = md_cost_table(summary.scaling.md_cost)
    elif summary.cells:
        md_cost = Missing("What md costs is not known: no stripe and raw cell have the same disks.")
    drill: list[Block] = [Missing("The failure drill was not run.")]
    if summary.drill is not None:
        plot = drill_plot(summary) or Missing("No event and no read of the drill was recorded.")
        drill = [plot, drill_table(summary.drill), outcome_table(summary.drill)]
    limits = "The limits are set at boot; the proofs say what each host has."
    where: list[Block] = [topology(manifest.inventory, summary.arrays), hosts_table(manifest.inventory, limits)]
    layouts = summary.layouts
    sections = [
        Section("topology", "What ran where", where),
        *known_answers_section(summary.known_answers, KNOWN_ANSWERS_NOTE),
        Section("scaling", "Scaling", [scaling_plot(summary) or nothing_measured, *sweep_tables(summary), md_cost]),
        *([Section("layouts", "Layouts of the copies", [layouts_table(layouts)])] if layouts else []),
        *([Section("writes", "Writes", [writes_table(summary.writes)])] if summary.writes else []),
        Section("latency", "Latency", [latency_plot(summary) or nothing_measured, *latency_tables(summary)]),
        Section("drill", "Failure drill", drill),
        Section("proofs", "Proofs", [proofs_table(summary.proofs, PROOFS)]),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    stripe, drill = summary.scaling.stripe_sequential, summary.drill
    largest = stripe.points[-1] if stripe else None
    costs = [cost for cost in summary.scaling.md_cost if cost.pattern == "sequential"]
    widest = max(costs, key=lambda cost: cost.disks, default=None)
    over = f"sequential, stripe over {largest.mirrors} mirrors" if largest else "sequential, stripe"
    known = summary.known_answers
    return [
        KeyFigure(over, figure(largest.mib_per_s if largest else None), "MiB/s"),
        *([KeyFigure("which is limited by", largest.limited_by)] if largest and largest.limited_by else []),
        KeyFigure(
            f"stripe over raw, {widest.disks} disks, sequential" if widest else "stripe over raw, sequential",
            ratio(widest.stripe_to_raw_ratio if widest else None),
        ),
        KeyFigure("longest stall with servers killed", seconds(drill.longest_stall_s if drill else None)),
        KeyFigure("reads failed during the drill", figure(drill.read_errors if drill else None)),
        KeyFigure("longest rebuild of a mirror", seconds(drill.rebuild_seconds_max if drill else None)),
        *([KeyFigure("known answers found again", f"{known.within} of {known.asked}")] if known else []),
    ]


def topology(inventory: Record, arrays: Sequence[Array]) -> Html | Missing:
    """Draws the arrays: a column for each mirror, a row for each storage server."""
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
