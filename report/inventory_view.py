"""What a page shows of the manifest's inventory: its hosts, and what they cost. No field is taken for granted."""

from __future__ import annotations

from report.format import MISSING, size_bytes
from report.records import Record, mapping, number, or_none, text
from report.runs import Manifest
from report.table import Column, Table


def objects(record: Record, key: str) -> list[Record]:
    value = record.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def hosts_table(inventory: Record, note: str) -> Table:
    """`note` says how the limits are set. There is a column for volumes where a host has some."""
    hosts = objects(inventory, "hosts")
    with_volumes = any(objects(host, "volumes") for host in hosts)
    rows = []
    for host in hosts:
        memory = host.get("memory_limit_mib")
        fields = [host.get(key) for key in ("name", "role", "type", "zone", "private_address", "cpu_limit")]
        row = [MISSING if value is None else str(value) for value in fields]
        row.append(size_bytes(memory << 20) if isinstance(memory, int) else MISSING)
        if with_volumes:
            row.append(str(len(objects(host, "volumes"))) if "volumes" in host else MISSING)
        rows.append(row)
    columns = [Column(name) for name in ("host", "role", "type", "zone", "private address")]
    columns += [Column("CPU limit", True), Column("memory limit", True)]
    columns += [Column("volumes", True)] if with_volumes else []
    return Table("Hosts", columns, rows, f"{note} {MISSING}: not limited.", name="hosts", page_only=True)


def cost_text(manifest: Manifest, run_seconds: float | None) -> str:
    """Dollars an hour, and for the time of the run where that is known. Says of a rehearsal that it costs nothing, and
    what it would cost on AWS.
    """
    cost = or_none(mapping, manifest.inventory, "cost") or {}
    usd_per_hour, prices_of = or_none(number, cost, "usd_per_hour"), or_none(text, cost, "prices_of")
    if usd_per_hour is None or prices_of is None:
        return MISSING
    found = f"{_dollars(usd_per_hour)} an hour"
    if run_seconds is not None:
        found += f", {_dollars(usd_per_hour * run_seconds / 3600)} for the time of this run"
    besides = cost.get("besides")
    if isinstance(besides, list) and besides:
        found += f", plus {', '.join(str(each) for each in besides)}"
    found += f" (prices of {prices_of}, without traffic and tax)"
    return f"nothing: a rehearsal; on AWS it would be {found}" if manifest.rehearsal else found


def _dollars(amount: float) -> str:
    """To the cent; two significant digits below that."""
    return f"${amount:.2f}" if amount >= 0.01 else f"${amount:.2g}"
