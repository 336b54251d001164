"""The cells of a run: how each sync was to be held back, the rate that it had and what it cost; and what follows from
all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from report.cells import parse_cells
from report.missing import divided, known, mean, total
from report.proofs import Proofs
from report.records import Record, known_as, mapping, number, or_none, text, whole
from report.runs import Run
from report.s3_throttle.network import (
    SECONDS_MAX,
    Part,
    Stop,
    Trace,
    buffers,
    closed_loop_edges,
    rates,
    read_network,
    read_stops,
)
from report.s3_throttle.schema import Cell, ClosedLoop, DutyCycle, FreeRate, Rates, Transfers

FREE = "free"
IDENTICAL = "byte-identical"


def read_cells(run: Run, proofs: Proofs | None) -> list[Cell]:
    """Reads the cells in the order in which they ran."""
    traces, stops = read_network(run), read_stops(run)
    identical = {proof.source: proof.passed for proof in (proofs.records if proofs else []) if proof.proof == IDENTICAL}
    cells = parse_cells(
        run,
        lambda cell: _cell(cell.record, traces.get(cell.name), stops.get(cell.name, []), identical.get(cell.name)),
    )
    # The first is the one by which the targets were set.
    free = next((cell.mean_mb_per_s for cell in cells if cell.method == FREE), None)
    return [
        replace(
            cell,
            mean_to_free_ratio=divided(cell.mean_mb_per_s, free),
            target_to_free_ratio=divided(cell.target_mb_per_s, free),
        )
        for cell in cells
    ]


def _cell(record: Record, trace: Trace | None, stops: Sequence[Stop], identical: bool | None) -> Cell:
    method = text(record, "method")
    objects, object_bytes = or_none(whole, record, "objects"), or_none(whole, record, "object_bytes")
    payload = None if objects is None or object_bytes is None else objects * object_bytes
    complete = record.get("complete") is True
    # tc drops packets on the host, before the interface: with it, what TCP retransmits was not sent before.
    wire, trace = trace, None if trace is None else trace if method == "tc" else trace.without_retransmissions()
    ratio, part = _payload_ratio(record, trace, payload), _part(record)
    if part is not None and method == "closed-loop" and trace is not None and stops:
        part = replace(part, edges=closed_loop_edges(trace, part, (stop.until_s for stop in stops)))
    target = or_none(number, record, "target_bytes_per_s")
    # A sync that failed has no rate: how much it moved is not known.
    measured = Rates()
    if complete and trace is not None and ratio is not None:
        measured = rates(trace, ratio, part, wire=wire, target=target)
    if or_none(text, record, "ended_by") in ("known", "bound"):  # not all of the objects were sent
        payload = round(trace.total * ratio) if trace is not None and ratio is not None else None
    cli, throttle = or_none(mapping, record, "cli"), or_none(mapping, record, "throttle")
    return known_as(
        Cell,
        record,
        bytes=payload,
        complete=complete,
        reason=or_none(text, record, "reason") if complete or record.get("reason") else "it has no end",
        target_mb_per_s=divided(target, 1e6),
        target_to_free_ratio=None,
        mean_to_free_ratio=None,
        attempts=or_none(whole, cli, "attempts"),
        retries=or_none(whole, cli, "retries"),
        failures=or_none(whole, cli, "failures"),
        throttle_cpu_ratio=divided(or_none(number, throttle, "cpu_s"), or_none(number, throttle, "seconds")),
        identical=identical,
        **vars(measured),
        **(buffers(stops, part) if complete and part is not None else {}),
    )


def _payload_ratio(record: Record, trace: Trace | None, payload: int | None) -> float | None:
    """Bytes of objects for each byte that the interface sent, without retransmissions.

    In a run from before this was recorded all objects were sent: it follows from the trace.
    """
    if "payload_to_wire_ratio" in record:
        ratio = or_none(number, record, "payload_to_wire_ratio")
        return ratio if ratio is not None and 0 < ratio <= 1 else None
    return payload / trace.total if payload is not None and trace is not None and trace.total else None


def _part(record: Record) -> Part | None:
    stop_s, run_s = or_none(number, record, "stop_s"), or_none(number, record, "run_s")
    from_s, until_s = (or_none(number, record, f"steady_{end}_unix_s") for end in ("from", "until"))
    if from_s is None or until_s is None or not 0 < until_s - from_s <= SECONDS_MAX:
        return None
    return Part(from_s, until_s, None if stop_s is None or run_s is None else stop_s + run_s)


def free_rate(cells: Sequence[Cell], inventory: Record) -> FreeRate:
    """Returns the free rate, with the link's if the inventory tells it."""
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
    """Compares pairs of a stop and a run with their promise. Those that were not measured do not count."""
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
    """Returns run / (run + stop)."""
    if cell.stop_s is None or cell.run_s is None:
        return None
    return cell.run_s / (cell.run_s + cell.stop_s)


def to_promised(cell: Cell) -> float | None:
    """Its rate over what the two times promise of the free rate."""
    return divided(cell.mean_to_free_ratio, promised(cell))


def while_stopped(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Returns what send buffers sent while it was stopped, over what the two times promise: a part of `to_promised`."""
    free = next((each.mean_mb_per_s for each in cells if each.method == FREE), None)
    promise = promised(cell)
    return divided(cell.while_stopped_mb_per_s, promise * free if promise and free else None)


def while_running(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Returns the other part of `to_promised`."""
    whole, stopped = to_promised(cell), while_stopped(cell, cells)
    return None if whole is None or stopped is None else whole - stopped


def closed_loop(cells: Sequence[Cell]) -> ClosedLoop:
    found = [
        (abs(cell.mean_to_target_ratio - 1), cell)
        for cell in cells
        if cell.method == "closed-loop" and cell.mean_to_target_ratio is not None
    ]
    error, worst = max(found, key=lambda each: each[0], default=(None, None))
    return ClosedLoop(
        rates=len(found),
        largest_error_ratio=error,
        largest_error_cell=None if worst is None else worst.cell,
        largest_error_uncertainty_ratio=None if worst is None else worst.mean_uncertainty_ratio,
    )


def transfers(cells: Sequence[Cell]) -> Transfers:
    return Transfers(
        syncs=len(cells),
        failed=sum(not cell.complete for cell in cells),
        retries=total(cell.retries for cell in cells),
        failures=total(cell.failures for cell in cells),
        identical=sum(cell.identical is True for cell in cells),
        different=sum(cell.identical is False for cell in cells),
    )
