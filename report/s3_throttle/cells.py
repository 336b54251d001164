"""The cells of a run: how each sync was to be held back, the rate that it had, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from report.cells import parse_cells
from report.missing import divided
from report.proofs import Proofs
from report.records import Record, known_as, mapping, number, or_none, text, whole
from report.runs import Run
from report.s3_throttle.network import BURST_S, SECONDS_MAX, Part, Rates, Trace, closed_loop_edges, rates
from report.s3_throttle.schema import Cell, Point
from report.s3_throttle.stops import Stop, buffers

FREE = "free"
IDENTICAL = "byte-identical"


def read_cells(
    run: Run, traces: Mapping[str, Trace], stops: Mapping[str, list[Stop]], proofs: Proofs | None
) -> list[Cell]:
    """In the order in which they ran."""
    identical = {proof.source: proof.passed for proof in (proofs.records if proofs else []) if proof.proof == IDENTICAL}
    cells = parse_cells(
        run, lambda cell: _cell(cell.record, traces.get(cell.name), stops.get(cell.name), identical.get(cell.name))
    )
    # The first is the one by which the targets were set.
    free = next((cell.mean_mb_per_s for cell in cells if cell.method == FREE), None)
    return cells if free is None else [_against_free(cell, free) for cell in cells]


def _cell(record: Record, trace: Trace | None, stops: list[Stop] | None, identical: bool | None) -> Cell:
    method = text(record, "method")
    objects, object_bytes = or_none(whole, record, "objects"), or_none(whole, record, "object_bytes")
    payload = None if objects is None or object_bytes is None else objects * object_bytes
    complete = record.get("complete") is True
    stop_s, run_s = or_none(number, record, "stop_s"), or_none(number, record, "run_s")
    # tc drops packets on the host, before the interface: with it, what TCP retransmits was not sent before.
    wire, trace = trace, None if trace is None else trace if method == "tc" else trace.without_retransmissions()
    ratio, part = _payload_ratio(record, trace, payload), _part(record, stop_s, run_s)
    if part is not None and method == "closed-loop" and trace is not None and stops:
        part = replace(part, edges=closed_loop_edges(trace, part, (each.t_s + each.stopped_s for each in stops)))
    # A sync that failed has no rate: how much it moved is not known.
    measured = rates(trace, ratio, part, wire) if complete and trace is not None and ratio is not None else None
    in_buffers = buffers(stops, part) if complete and stops is not None and part is not None else None
    if or_none(text, record, "ended_by") in ("known", "bound"):  # not all of the objects were sent
        payload = round(trace.total * ratio) if trace is not None and ratio is not None else None
    target = or_none(number, record, "target_bytes_per_s")
    cli, throttle = or_none(mapping, record, "cli"), or_none(mapping, record, "throttle")
    return known_as(
        Cell,
        record,
        bytes=payload,
        complete=complete,
        reason=or_none(text, record, "reason") if complete or record.get("reason") else "it has no end",
        target_mb_per_s=None if target is None else target / 1e6,
        target_to_free_ratio=None,
        attempts=or_none(whole, cli, "attempts"),
        retries=or_none(whole, cli, "retries"),
        failures=or_none(whole, cli, "failures"),
        throttle_cpu_ratio=divided(or_none(number, throttle, "cpu_s"), or_none(number, throttle, "seconds")),
        identical=identical,
        **_figures(measured, target),
        **(vars(in_buffers) if in_buffers else {}),
    )


def _payload_ratio(record: Record, trace: Trace | None, payload: int | None) -> float | None:
    """Bytes of objects for each byte that the interface sent, without retransmissions.

    In a run from before this was recorded all objects were sent: it follows from the trace.
    """
    if "payload_to_wire_ratio" in record:
        ratio = or_none(number, record, "payload_to_wire_ratio")
        return ratio if ratio is not None and 0 < ratio <= 1 else None
    return payload / trace.total if payload is not None and trace is not None and trace.total else None


def _part(record: Record, stop_s: float | None, run_s: float | None) -> Part | None:
    from_s, until_s = (or_none(number, record, f"steady_{end}_unix_s") for end in ("from", "until"))
    if from_s is None or until_s is None or not 0 < until_s - from_s <= SECONDS_MAX:
        return None
    return Part(from_s, until_s, None if stop_s is None or run_s is None else stop_s + run_s)


def _figures(measured: Rates | None, target: float | None) -> dict[str, Any]:
    std = None if measured is None else measured.window_std_bytes_per_s
    return {
        "seconds": measured and measured.seconds,
        "start_s": measured and measured.start and measured.start[0],
        "start_mb": measured and measured.start and measured.start[1] / 1e6,
        "steady_s": measured and measured.steady_s,
        "tail_s": measured and measured.tail and measured.tail[0],
        "tail_mb": measured and measured.tail and measured.tail[1] / 1e6,
        "mean_mb_per_s": measured and measured.mean_bytes_per_s / 1e6,
        "mean_to_target_ratio": measured and divided(measured.mean_bytes_per_s, target),
        "mean_uncertainty_ratio": measured and uncertainty(measured),
        "mean_to_free_ratio": None,
        "window_std_to_target_ratio": divided(std, target),
        "windows": measured and measured.windows,
        "largest_100_ms_bytes": measured and measured.largest_100_ms_bytes,
        "burst_ratio": measured and divided(measured.largest_100_ms_bytes, target and target * BURST_S),
        "wire_mbit_per_s": measured and measured.wire_bytes_per_s * 8 / 1e6,
        "longest_gap_s": measured and measured.longest_gap_s,
        "progress": [Point(t_s, moved / 1e6) for t_s, moved in measured.progress] if measured else [],
    }


def uncertainty(measured: Rates) -> float | None:
    """Of the mean. Without a steady part: by how much one burst more or less would change it."""
    if measured.steady_s is not None:
        return measured.known_to_ratio
    evenly = measured.mean_bytes_per_s * BURST_S
    return max(0.0, measured.largest_100_ms_bytes - evenly) / (measured.mean_bytes_per_s * measured.seconds)


def _against_free(cell: Cell, free_mb_per_s: float) -> Cell:
    return replace(
        cell,
        mean_to_free_ratio=divided(cell.mean_mb_per_s, free_mb_per_s),
        target_to_free_ratio=divided(cell.target_mb_per_s, free_mb_per_s),
    )
