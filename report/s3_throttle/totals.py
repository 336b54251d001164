"""What follows from the cells of a run together: the free rate, the duty cycle against its promise, the errors."""

from __future__ import annotations

from collections.abc import Sequence

from report.missing import divided, known, mean, total
from report.records import Record, mapping, number, or_none
from report.s3_throttle.cells import FREE
from report.s3_throttle.schema import Cell, ClosedLoop, DutyCycle, FreeRate, Transfers


def free_rate(cells: Sequence[Cell], inventory: Record) -> FreeRate:
    """With the link's rate, where the inventory tells it."""
    found = [cell for cell in cells if cell.method == FREE]
    first = found[0].mean_mb_per_s if found else None
    again = found[-1].mean_mb_per_s if len(found) > 1 else None
    wire = max(known(cell.wire_mbit_per_s for cell in found), default=None)
    link = or_none(number, or_none(mapping, inventory, "bucket"), "uplink_mbit_per_s")
    return FreeRate(
        mean_mb_per_s=first,
        again_mb_per_s=again,
        again_to_first_ratio=divided(again, first),
        largest_uncertainty_ratio=max(known(cell.mean_uncertainty_ratio for cell in found), default=None),
        wire_mbit_per_s=wire,
        link_mbit_per_s=link,
        wire_to_link_ratio=divided(wire, link),
    )


def duty_cycle(cells: Sequence[Cell]) -> DutyCycle:
    """A pair is a stop and a run; those that were not measured do not count."""
    measured = [cell for cell in cells if cell.method == "duty-cycle" and to_promised(cell) is not None]
    plain = [cell for cell in measured if cell.send_buffer_bytes is None]
    small = [cell for cell in measured if cell.send_buffer_bytes is not None]
    found = known(map(to_promised, plain))
    return DutyCycle(
        pairs=len(plain),
        lowest_to_promised_ratio=min(found, default=None),
        highest_to_promised_ratio=max(found, default=None),
        mean_to_promised_ratio=mean(found),
        while_stopped_to_promised_ratio=mean(known(while_stopped(cell, cells) for cell in plain)),
        largest_uncertainty_ratio=max(known(cell.mean_uncertainty_ratio for cell in plain), default=None),
        small_buffer_pairs=len(small),
        small_buffer_to_promised_ratio=mean(map(to_promised, small)),
        small_buffer_while_running_to_promised_ratio=mean(known(while_running(cell, cells) for cell in small)),
    )


def promised(cell: Cell) -> float | None:
    """run / (run + stop)."""
    if cell.stop_s is None or cell.run_s is None:
        return None
    return cell.run_s / (cell.run_s + cell.stop_s)


def to_promised(cell: Cell) -> float | None:
    """Its rate over what the two times promise of the free rate."""
    return divided(cell.mean_to_free_ratio, promised(cell))


def while_stopped(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """What its send buffers sent while it was stopped, over what the two times promise: a part of `to_promised`."""
    free = next((each.mean_mb_per_s for each in cells if each.method == FREE), None)
    promise = promised(cell)
    return divided(cell.while_stopped_mb_per_s, promise * free if promise and free else None)


def while_running(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """The other part of `to_promised`."""
    whole, stopped = to_promised(cell), while_stopped(cell, cells)
    return None if whole is None or stopped is None else whole - stopped


def closed_loop(cells: Sequence[Cell]) -> ClosedLoop:
    found = [cell for cell in cells if cell.method == "closed-loop" and cell.mean_to_target_ratio is not None]
    worst = max(found, key=_error, default=None)
    return ClosedLoop(
        rates=len(found),
        largest_error_ratio=None if worst is None else _error(worst),
        largest_error_cell=None if worst is None else worst.cell,
        largest_error_uncertainty_ratio=None if worst is None else worst.mean_uncertainty_ratio,
    )


def _error(cell: Cell) -> float:
    assert cell.mean_to_target_ratio is not None  # of those found alone
    return abs(cell.mean_to_target_ratio - 1)


def transfers(cells: Sequence[Cell]) -> Transfers:
    return Transfers(
        syncs=len(cells),
        failed=sum(not cell.complete for cell in cells),
        retries=total(cell.retries for cell in cells),
        failures=total(cell.failures for cell in cells),
        identical=sum(cell.identical is True for cell in cells),
        different=sum(cell.identical is False for cell in cells),
    )
