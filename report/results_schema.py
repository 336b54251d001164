"""The tables in which results can be queried and exported: each column, its type and its meaning.

docs/results-schema.md describes them. VERSION changes when a column changes its meaning or is removed, not when one is
added.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1


@dataclass(frozen=True)
class Field:
    name: str
    type: str  # DuckDB's
    meaning: str


_RUN = (
    Field("run", "VARCHAR", "experiment/stack/UTC time: the directory below results/"),
    Field("rehearsal", "BOOLEAN", "measured in a rehearsal: shows the method, not AWS"),
)

TABLES: dict[str, tuple[Field, ...]] = {
    "runs": (
        _RUN[0],
        Field("experiment", "VARCHAR", "its name"),
        Field("stack", "VARCHAR", "the stack's name: the experiment and where it ran"),
        Field("region", "VARCHAR", "of AWS, or the one that a rehearsal stands for"),
        _RUN[1],
        Field("started_at", "TIMESTAMP", "UTC"),
        Field("finished_at", "TIMESTAMP", "UTC"),
        Field("status", "VARCHAR", "running, complete or failed"),
        Field("reason", "VARCHAR", "why it failed"),
        Field("damage", "VARCHAR", "why the run can't be read; all else is null then"),
    ),
    "claims": (
        *_RUN,
        Field("claim", "VARCHAR", "experiment/claim"),
        Field("verdict", "VARCHAR", "holds, differs, not judged or not run"),
        Field("detail", "VARCHAR", "what was found, or why it is not judged"),
        Field("measured", "DOUBLE", "the figure, in the unit of the published one; null where it is no number"),
    ),
    "cells": (
        *_RUN,
        Field("cell", "VARCHAR", "the name of a measurement in its run"),
        Field("complete", "BOOLEAN", "whether it came to its end"),
        Field("reason", "VARCHAR", "why it did not"),
        Field("record", "JSON", "the whole record as the tasks wrote it (docs/interfaces.md)"),
    ),
    "intervals": (
        *_RUN,
        Field("cell", "VARCHAR", "the measurement"),
        Field("host", "VARCHAR", "where the worker ran"),
        Field("second", "BIGINT", "the interval's number, from 0"),
        Field("t_start_unix_s", "DOUBLE", "by the host's clock"),
        Field("t_end_unix_s", "DOUBLE", "by the host's clock"),
        Field("ops", "BIGINT", "operations that ended in the interval"),
        Field("bytes", "BIGINT", "that they moved"),
        Field("errors", "BIGINT", "operations that failed"),
        Field("latency_p50_us", "DOUBLE", "nearest rank, within 1/256; so are those below"),
        Field("latency_p95_us", "DOUBLE", ""),
        Field("latency_p99_us", "DOUBLE", ""),
        Field("latency_p99_9_us", "DOUBLE", ""),
        Field("latency_max_us", "DOUBLE", "exact"),
    ),
    "hosts": (
        *_RUN,
        Field("host", "VARCHAR", "its name in the inventory"),
        Field("t_unix_s", "DOUBLE", "by the host's clock"),
        Field("cpu_busy_ratio", "DOUBLE", "of the last second, of all CPUs"),
        Field("nic_rx_bytes", "BIGINT", "counter"),
        Field("nic_tx_bytes", "BIGINT", "counter"),
        Field("mem_available_bytes", "BIGINT", ""),
    ),
    "records": (
        *_RUN,
        Field("stream", "VARCHAR", "the file's name in raw/, such as mountstats"),
        Field("record", "JSON", "a line of it"),
    ),
}
EXPORTED = tuple(name for name in TABLES if name != "records")
"""The raw records are files that anybody can read already."""
