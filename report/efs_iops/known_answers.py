"""Compares what a rehearsal found with its service model (service-model.json), which nothing else here reads."""

from __future__ import annotations

from dataclasses import dataclass

from report.efs_iops.cells import OPS
from report.efs_iops.schema import IoLimit, Limits, Metering, OperationLimits
from report.known_answers import KnownAnswer, KnownAnswers, near, positive_or_none, read_model_file
from report.missing import divided
from report.records import Record, RecordError, mapping, number, number_or_none, or_none, text, whole
from report.runs import Run
from report.summary import MB

LIMIT_RATIO = 0.05
ONE_WRITER_RATIO = 0.10
KNEE_RATIO = 0.20
SEQUENTIAL_RATIO = 0.05
SPLIT_JAIN_MIN = 0.98
IO_LIMIT_POINTS = 2.0


@dataclass(frozen=True)
class Model:
    name: str
    ops_per_s: dict[str, float | None]
    one_writer_seconds: dict[str, float | None]  # that an operation takes which waits for no other
    bytes_per_s: float | None
    metering_minimum_bytes: int


def read_known_answers(run: Run, limits: Limits, metering: Metering, io_limit: IoLimit) -> KnownAnswers | None:
    """Compares the service model with what was found; None if there is no service model."""
    model = read_model_file(run, _model, ": the known answers can't be read")
    if model is None:
        return None
    sequential = divided(model.bytes_per_s, MB)
    least, minimum = metering.minimum_bytes, model.metering_minimum_bytes
    rows = [
        *_answers("write", model, limits.write),
        *_answers("read", model, limits.read),
        near("sequential", "MB/s", sequential, limits.sequential_mb_per_s, SEQUENTIAL_RATIO),
        KnownAnswer("least metered", "bytes", minimum, least, "exact", None if least is None else least == minimum),
    ]
    if None not in model.ops_per_s.values():
        off = io_limit.largest_difference_points
        within, tolerance = None if off is None else off <= IO_LIMIT_POINTS, f"{IO_LIMIT_POINTS:.0f} points"
        rows.append(KnownAnswer("PercentIOLimit, off by", "points", 0.0, off, tolerance, within))
    return KnownAnswers.of(model.name, rows)


def _answers(op: str, model: Model, found: OperationLimits) -> list[KnownAnswer]:
    limit, seconds = model.ops_per_s[op], model.one_writer_seconds[op]
    one_writer = near(f"one writer, {op}", "op/s", divided(1, seconds), found.one_writer_ops_per_s, ONE_WRITER_RATIO)
    if limit is None:
        without = found.limit_ops_per_s is None
        no_limit = KnownAnswer(f"{op} limit", "op/s", None, found.limit_ops_per_s, "none to be found", without)
        return [no_limit, one_writer]
    knee = limit * seconds if seconds else None
    split, tolerance = found.split_jain, f"\u2265 {SPLIT_JAIN_MIN}"
    equal = None if split is None else split >= SPLIT_JAIN_MIN
    return [
        near(f"{op} limit", "op/s", limit, found.limit_ops_per_s, LIMIT_RATIO),
        one_writer,
        near(f"knee, {op}", "writers", knee, found.knee_writers, KNEE_RATIO),
        KnownAnswer(f"split of two hosts, {op}", "Jain index", 1.0, split, tolerance, equal),
    ]


def _model(document: Record) -> Model:
    base = or_none(mapping, document, "base_seconds") or {}
    delay = number(document, "delay_seconds")
    if delay < 0:
        raise RecordError(f"delay_seconds must be 0 or more, not {delay!r}")
    bases = {op: number_or_none(base, op) for op in OPS}
    return Model(
        name=text(document, "name"),
        ops_per_s={op: positive_or_none(document, f"{op}_ops_per_s") for op in OPS},
        one_writer_seconds={op: None if seconds is None else delay + seconds for op, seconds in bases.items()},
        bytes_per_s=positive_or_none(document, "bytes_per_s"),
        metering_minimum_bytes=whole(document, "metering_minimum_bytes"),
    )
