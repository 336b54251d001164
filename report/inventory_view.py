"""The inventory of a manifest, as a page shows it: nothing in it is taken for granted."""

from __future__ import annotations

from report.format import MISSING, size_bytes, unbreakable
from report.runs import Record
from report.table import Column, Table


def objects(record: Record, key: str) -> list[Record]:
    value = record.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def host_words(host: Record) -> dict[str, str]:
    """A host's name and type, for a drawing."""
    return {"name": unbreakable(str(host["name"])), "words": str(host.get("type") or MISSING)}


def hosts_table(inventory: Record, note: str) -> Table:
    """`note` says what the limits rest on. Volumes have a column where a host has some."""
    hosts = objects(inventory, "hosts")
    with_volumes = any(objects(host, "volumes") for host in hosts)
    rows = []
    for host in hosts:
        memory = host.get("memory_limit_mib")
        named = [host.get(key) for key in ("name", "role", "type", "zone", "private_address", "cpu_limit")]
        row = [MISSING if value is None else str(value) for value in named]
        row.append(size_bytes(memory << 20) if isinstance(memory, int) else MISSING)
        if with_volumes:
            row.append(str(len(objects(host, "volumes"))) if "volumes" in host else MISSING)
        rows.append(row)
    columns = [Column(name) for name in ("host", "role", "type", "zone", "private address")]
    columns += [Column("CPU limit", True), Column("memory limit", True)]
    columns += [Column("volumes", True)] if with_volumes else []
    return Table("Hosts", columns, rows, f"{note} {MISSING}: not limited.", name="hosts")
