"""Runs as tables of an in-memory DuckDB, read from the files at each query; and their export for other programs.

A damaged line is left out, and a missing or malformed field is null, so that a damaged run, or one that is still being
written, hides nothing of the others. docs/results-schema.md describes the tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from report.atomic_write import folder_written_atomically
from report.runs import ListedRun, RunError
from report.verdicts import read_verdicts

VERSION = 1
"""Of the tables. Changes when a column changes its meaning or is removed, not when one is added."""

FORMATS = {"csv": "csv, header", "json": "json", "parquet": "parquet, compression zstd"}


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

_WORKER = """{cell: 'VARCHAR', host: 'VARCHAR', kind: 'VARCHAR', second: 'BIGINT', t_start_unix_s: 'DOUBLE',
    t_end_unix_s: 'DOUBLE', ops: 'BIGINT', bytes: 'BIGINT', errors: 'MAP(VARCHAR, BIGINT)',
    latency_ns: 'STRUCT("count" BIGINT, "min" BIGINT, "max" BIGINT, buckets BIGINT[][])'}"""
# Those of a record; the first two say which run it is of.
_HOST = {field.name: field.type for field in TABLES["hosts"][2:]}
# As in report/histogram.py: below 256 ns the value itself, above that the middle of a 128th of an octave.
_MIDDLE = """CREATE MACRO bucket_middle_ns(i) AS CASE WHEN i < 256 THEN i
    ELSE ((128 + (i - 256) % 128) << ((i - 256) // 128 + 1)::INT) + (1::BIGINT << ((i - 256) // 128)::INT) END"""
# The nearest rank, in whole numbers: the first bucket up to which at least this many per mille were counted. The last
# rank is the exact maximum.
_PERCENTILE = """CASE WHEN (n * {per_mille} + 999) // 1000 >= n THEN hi
    ELSE greatest(lo, least(hi, bucket_middle_ns(min(i) FILTER (seen >= (n * {per_mille} + 999) // 1000))))
    END / 1000.0"""
_PERCENTILES = {"p50": 500, "p95": 950, "p99": 990, "p99_9": 999}
_PERCENTILE_COLUMNS = ",\n".join(
    f"{_PERCENTILE.format(per_mille=per_mille)} AS latency_{name}_us" for name, per_mille in _PERCENTILES.items()
)
# The views, each from what `_lines` or `_columns` reads of a stream.
_CELLS = """SELECT f.run, f.rehearsal, record->>'cell' AS cell, TRY_CAST(record->>'complete' AS BOOLEAN) AS complete,
    record->>'reason' AS reason, record FROM {read} WHERE record->>'cell' IS NOT NULL"""
_HOSTS = f"SELECT f.run, f.rehearsal, {', '.join(_HOST)} FROM {{read}} WHERE host IS NOT NULL"
_INTERVALS = f"""
    WITH worker AS MATERIALIZED (
        SELECT row_number() OVER () AS r, f.run, f.rehearsal, w.* EXCLUDE (filename)
        FROM {{read}} WHERE kind = 'interval' AND cell IS NOT NULL),
    buckets AS (SELECT r, latency_ns."count" AS n, latency_ns."min" AS lo, latency_ns."max" AS hi,
        unnest(latency_ns.buckets) AS pair FROM worker),
    cumulated AS (SELECT r, n, lo, hi, pair[1] AS i, sum(pair[2]) OVER (PARTITION BY r ORDER BY pair[1]) AS seen
        FROM buckets),
    percentiles AS (SELECT r, {_PERCENTILE_COLUMNS} FROM cumulated GROUP BY r, n, lo, hi)
    SELECT run, rehearsal, cell, host, second, t_start_unix_s, t_end_unix_s, ops, bytes,
        CASE WHEN errors IS NOT NULL THEN coalesce(list_sum(map_values(errors)), 0)::BIGINT END AS errors,
        latency_p50_us, latency_p95_us, latency_p99_us, latency_p99_9_us, latency_ns."max" / 1000.0 AS latency_max_us
    FROM worker LEFT JOIN percentiles USING (r)"""
_RECORDS = "SELECT f.run, f.rehearsal, {stream} AS stream, record FROM {read} WHERE record IS NOT NULL"


def connect(runs: Sequence[ListedRun]) -> duckdb.DuckDBPyConnection:
    """Returns a connection with the tables of TABLES, filled with these runs."""
    database = duckdb.connect()
    whole = [each for each in runs if each.run is not None]
    _fill(database, "runs", [_run_row(each) for each in runs])
    _fill(database, "claims", [row for each in whole for row in _claim_rows(each)])
    database.execute(_MIDDLE)
    streams = _streams(whole)
    cells, worker, host = streams.get("cells"), streams.get("worker"), streams.get("host")
    records = [_RECORDS.format(stream=_text(name), read=_lines(streams[name])) for name in sorted(streams)]
    for table, select in (
        ("cells", cells and _CELLS.format(read=_lines(cells))),
        ("intervals", worker and _INTERVALS.format(read=_columns(worker, _WORKER))),
        ("hosts", host and _HOSTS.format(read=_columns(host, str(_HOST)))),
        ("records", " UNION ALL ".join(records)),
    ):
        database.execute(f"CREATE VIEW {table} AS {select or _nothing(table)}")
    return database


def _fill(database: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[Any]]) -> None:
    columns = ", ".join(f"{field.name} {field.type}" for field in TABLES[table])
    database.execute(f"CREATE TABLE {table} ({columns})")
    if rows:
        marks = ", ".join("?" for _ in TABLES[table])
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _run_row(listed: ListedRun) -> tuple[Any, ...]:
    if listed.run is None:
        return (listed.name, *[None] * (len(TABLES["runs"]) - 2), listed.damage)
    of_manifest = [getattr(listed.run.manifest, field.name) for field in TABLES["runs"][1:-1]]
    return (listed.name, *of_manifest, None)


def _claim_rows(listed: ListedRun) -> list[tuple[Any, ...]]:
    assert listed.run is not None  # of whole runs alone
    try:
        verdicts = read_verdicts(listed.path) or {}
    except RunError:
        return []  # the run is listed all the same; its report can be made again
    run, rehearsal = listed.name, listed.run.manifest.rehearsal
    return [
        (run, rehearsal, claim, stored.verdict, stored.detail, _number(stored.measured))
        for claim, stored in verdicts.items()
    ]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _streams(runs: Sequence[ListedRun]) -> dict[str, list[tuple[str, str, str]]]:
    """Returns each stream's files: path, name of the run and its mark of a rehearsal, as literals of SQL."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for each in runs:
        assert each.run is not None  # of whole runs alone
        rehearsal = json.dumps(each.run.manifest.rehearsal)
        for file in (each.path / "raw").glob("*.ndjson"):
            if file.is_file():
                found.setdefault(file.stem, []).append((_text(str(file)), _text(each.name), rehearsal))
    return found


def _lines(files: Sequence[tuple[str, str, str]]) -> str:
    """Returns a query for each line of a stream as JSON, as `record`, joined with its run."""
    return _read(files, "read_ndjson_objects", "", "w(record, filename)")


def _columns(files: Sequence[tuple[str, str, str]], columns: str) -> str:
    """Returns a query for these fields of a stream's lines, joined with their runs."""
    return _read(files, "read_json", f", format = 'newline_delimited', columns = {columns}", "w")


def _read(files: Sequence[tuple[str, str, str]], reader: str, options: str, alias: str) -> str:
    paths = ", ".join(path for path, _, _ in files)
    runs = ", ".join(f"({', '.join(each)})" for each in files)
    read = f"{reader}([{paths}], ignore_errors = true, filename = true{options})"
    return f"{read} AS {alias} JOIN (VALUES {runs}) AS f(path, run, rehearsal) ON w.filename = f.path"


def _nothing(table: str) -> str:
    columns = ", ".join(f"NULL::{field.type} AS {field.name}" for field in TABLES[table])
    return f"SELECT {columns} WHERE false"


def _text(value: str) -> str:
    """Returns a literal of SQL, in which a quote is doubled and nothing else is escaped."""
    return "'" + value.replace("'", "''") + "'"


def export(database: duckdb.DuckDBPyConnection, kind: str, to: Path) -> list[Path]:
    """Writes a file for each table, and one that describes them; all of them or none.

    `kind` is one of FORMATS. Raises RunError if the directory is not empty.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to}: not an empty directory; name one that is, or a new one")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with folder_written_atomically(to) as folder:
            for table in EXPORTED:
                file = _text(str(folder / f"{table}.{kind}"))
                database.execute(f"COPY ({_finite(table)}) TO {file} (FORMAT {FORMATS[kind]})")
            (folder / "schema.json").write_text(_schema_json())
    except (OSError, duckdb.Error) as error:
        why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise RunError(f"{to}: can't be written: {why}") from None
    return sorted(to.iterdir())


def _finite(table: str) -> str:
    """Returns the table with null for NaN and Infinity, which DuckDB would write although JSON does not have them."""
    doubles = [field.name for field in TABLES[table] if field.type == "DOUBLE"]
    replaced = ", ".join(f"CASE WHEN isfinite({name}) THEN {name} END AS {name}" for name in doubles)
    return f"SELECT * REPLACE ({replaced}) FROM {table}" if replaced else f"FROM {table}"


def _schema_json() -> str:
    tables = {table: [vars(field) for field in TABLES[table]] for table in EXPORTED}
    return json.dumps({"schema": VERSION, "tables": tables}, indent=1) + "\n"
