"""Cells that are shown apart from the sweep: mirrors that were read in several layouts, leg by leg, and writes."""

from __future__ import annotations

from collections.abc import Sequence

from report.md_raid.schema import Cell, LayoutReads, Layouts, WrittenCell
from report.missing import divided
from report.records import Record, RecordError, or_none, text, whole
from report.runs import Run
from report.summary import shared_fields

RAID1 = "raid1"
RAID1_ROTATIONAL = "raid1-rotational"
# Below this share of what was read a leg was not read from, but for a label or a superblock.
LEG_SHARE_MIN = 0.05


def layouts_of(cells: Sequence[Cell]) -> Layouts | None:
    """Does a plain RAID-1 read from one leg? None where no layouts were compared."""
    compared = [cell for cell in cells if cell.layout == "mirror" and cell.copies is not None]
    if not compared:
        return None
    plain = {(cell.pattern, cell.readers): cell for cell in compared if cell.copies == RAID1}
    rows = [_reads(cell, plain.get((cell.pattern, cell.readers))) for cell in compared]
    one_reader = {row.copies: row for row in rows if (row.pattern, row.readers) == ("sequential", "one")}
    raid1, rotational = one_reader.get(RAID1), one_reader.get(RAID1_ROTATIONAL)
    # Whether a RAID-1 goes from leg to leg depends on that. Runs before 2026-12 do not tell, and their RAID-1 was new:
    # md does not move the first reader from the leg that it began with.
    legs_rotational = next((cell.legs_rotational for cell in compared if cell.copies == RAID1), None)
    offset = next((row for copies, row in one_reader.items() if copies.startswith("o")), None)
    return Layouts(
        legs=max(cell.servers for cell in compared),
        legs_rotational=legs_rotational,
        raid1_legs_read=raid1.legs_read if raid1 and legs_rotational is not None else None,
        raid1_rotational_legs_read=rotational.legs_read if rotational else None,
        offset_legs_read=offset.legs_read if offset else None,
        offset_to_raid1_ratio=offset.to_raid1_ratio if offset else None,
        rows=rows,
    )


def _reads(cell: Cell, plain: Cell | None) -> LayoutReads:
    legs = [] if cell.leg_read_bytes is None else sorted(cell.leg_read_bytes.values(), reverse=True)
    shares = [divided(count, sum(legs)) or 0.0 for count in legs]
    return LayoutReads(
        **shared_fields(LayoutReads, cell),
        legs=cell.servers,
        legs_read=sum(share >= LEG_SHARE_MIN for share in shares) if any(shares) else None,
        leg_shares=[*shares, *[0.0] * (cell.servers - len(shares))] if any(shares) else None,
        to_raid1_ratio=divided(cell.mib_per_s, plain.mib_per_s) if plain else None,
    )


def read_writes(run: Run, cells: Sequence[Cell]) -> list[WrittenCell]:
    """Reads the write cells, and what was read back of them from each server's legs alone (raw/writes.ndjson)."""
    written = [cell for cell in cells if cell.operation == "write"]
    checks: dict[str, dict[str, Record]] = {}
    if written and run.has_stream("writes", "whether what was written was read back is not known"):
        for record in run.stream("writes"):
            try:
                checks.setdefault(text(record, "cell"), {})[text(record, "server")] = record
            except RecordError as error:
                run.omit("writes", error, record)
    return [_written(cell, list(checks.get(cell.cell, {}).values())) for cell in written]


def _written(cell: Cell, checks: Sequence[Record]) -> WrittenCell:
    alike = len({check.get("sha256") for check in checks}) == 1
    return WrittenCell(
        **shared_fields(WrittenCell, cell),
        servers_checked=len(checks),
        checked_bytes=or_none(whole, checks[0] if checks else None, "bytes"),
        matched=alike and all(check.get("matched") is True for check in checks) if checks else None,
    )
