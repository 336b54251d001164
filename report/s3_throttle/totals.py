"""What the cells of a run say together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from report.runs import Record, number, quietly
from report.s3_throttle.cells import FREE
from report.s3_throttle.schema import Cell, ClosedLoop, DutyCycle, Free, Transfers


def free_rate(cells: Sequence[Cell], inventory: Record) -> Free:
    """With the link's rate, where the inventory tells it."""
    found = [cell for cell in cells if cell.method == FREE]
    first = found[0].mean_mb_per_s if found else None
    again = found[-1].mean_mb_per_s if len(found) > 1 else None
    wire = max((cell.wire_mbit_per_s for cell in found if cell.wire_mbit_per_s is not None), default=None)
    bucket = inventory.get("bucket")
    link = quietly(number, bucket, "uplink_mbit_per_s") if isinstance(bucket, dict) else None
    return Free(
        mean_mb_per_s=first,
        again_mb_per_s=again,
        again_to_first_ratio=again / first if again is not None and first else None,
        largest_uncertainty_ratio=max(_known(cell.mean_uncertainty_ratio for cell in found), default=None),
        wire_mbit_per_s=wire,
        link_mbit_per_s=link,
        wire_to_link_ratio=wire / link if wire is not None and link else None,
    )


def duty_cycle(cells: Sequence[Cell]) -> DutyCycle:
    """A pair is one of a stop and a run; one that was not measured is none."""
    measured = [cell for cell in cells if cell.method == "duty-cycle" and to_promised(cell) is not None]
    plain = [cell for cell in measured if cell.send_buffer_bytes is None]
    small = [cell for cell in measured if cell.send_buffer_bytes is not None]
    found = _known(map(to_promised, plain))
    return DutyCycle(
        pairs=len(plain),
        lowest_to_promised_ratio=min(found, default=None),
        highest_to_promised_ratio=max(found, default=None),
        mean_to_promised_ratio=_mean(found),
        while_stopped_to_promised_ratio=_mean(_known(while_stopped(cell, cells) for cell in plain)),
        largest_uncertainty_ratio=max(_known(cell.mean_uncertainty_ratio for cell in plain), default=None),
        small_buffer_pairs=len(small),
        small_buffer_to_promised_ratio=_mean(_known(map(to_promised, small))),
        small_buffer_while_stopped_to_promised_ratio=_mean(_known(while_stopped(cell, cells) for cell in small)),
        small_buffer_while_running_to_promised_ratio=_mean(_known(while_running(cell, cells) for cell in small)),
        small_buffer_largest_uncertainty_ratio=max(_known(cell.mean_uncertainty_ratio for cell in small), default=None),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def promised(cell: Cell) -> float | None:
    """run / (run + stop)."""
    if cell.stop_s is None or cell.run_s is None:
        return None
    return cell.run_s / (cell.run_s + cell.stop_s)


def to_promised(cell: Cell) -> float | None:
    """Its rate over what the two times promise of the free one."""
    promise = promised(cell)
    return None if not promise or cell.mean_to_free_ratio is None else cell.mean_to_free_ratio / promise


def while_stopped(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """What its send buffers gave while it stood, over what the two times promise: a part of `to_promised`."""
    free = next((each.mean_mb_per_s for each in cells if each.method == FREE), None)
    promise = promised(cell)
    if not promise or not free or cell.while_stopped_mb_per_s is None:
        return None
    return cell.while_stopped_mb_per_s / (promise * free)


def while_running(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """The other part of `to_promised`."""
    whole, stopped = to_promised(cell), while_stopped(cell, cells)
    return None if whole is None or stopped is None else whole - stopped


def closed_loop(cells: Sequence[Cell]) -> ClosedLoop:
    found = [cell for cell in cells if cell.method == "closed-loop" and cell.mean_to_target_ratio is not None]
    targets = [cell.target_to_free_ratio for cell in found if cell.target_to_free_ratio is not None]
    worst = max(found, key=_error, default=None)
    return ClosedLoop(
        rates=len(found),
        lowest_target_to_free_ratio=min(targets, default=None),
        highest_target_to_free_ratio=max(targets, default=None),
        largest_error_ratio=None if worst is None else _error(worst),
        largest_error_cell=None if worst is None else worst.cell,
        largest_error_uncertainty_ratio=None if worst is None else worst.mean_uncertainty_ratio,
    )


def _error(cell: Cell) -> float:
    assert cell.mean_to_target_ratio is not None  # of those found alone
    return abs(cell.mean_to_target_ratio - 1)


def transfers(cells: Sequence[Cell]) -> Transfers:
    retries = [cell.retries for cell in cells]
    failures = [cell.failures for cell in cells]
    return Transfers(
        syncs=len(cells),
        failed=sum(not cell.complete for cell in cells),
        retries=None if None in retries else sum(filter(None, retries)),
        failures=None if None in failures else sum(filter(None, failures)),
        identical=sum(cell.identical is True for cell in cells),
        different=sum(cell.identical is False for cell in cells),
    )
