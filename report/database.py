"""Runs as tables of an in-memory DuckDB, read from the files at each query.

A damaged line is left out, and a missing or malformed field is null, so that a damaged run, or one that is still being
written, hides nothing of the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from report.results_schema import TABLES
from report.runs import ListedRun, RunError
from report.verdicts import read_verdicts

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
# The views, each from what `_lines` or `_columns` reads.
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


def connect(runs: Sequence[ListedRun]) -> duckdb.DuckDBPyConnection:
    """A connection with the tables of report/results_schema.py, filled with these runs."""
    database = duckdb.connect()
    whole = [each for each in runs if each.run is not None]
    _fill(database, "runs", [_run_row(each) for each in runs])
    _fill(database, "claims", [row for each in whole for row in _claim_rows(each)])
    database.execute(_MIDDLE)
    for table, read, select in (
        ("cells", _lines(whole, "cells"), _CELLS),
        ("intervals", _columns(whole, "worker", _WORKER), _INTERVALS),
        ("hosts", _columns(whole, "host", str(_HOST)), _HOSTS),
    ):
        database.execute(f"CREATE VIEW {table} AS {select.format(read=read) if read else _nothing(table)}")
    database.execute(f"CREATE VIEW records AS {_records(whole) or _nothing('records')}")
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


def _records(runs: Sequence[ListedRun]) -> str:
    streams = sorted({file.stem for each in runs for file in (each.path / "raw").glob("*.ndjson") if file.is_file()})
    parts = [
        f"SELECT f.run, f.rehearsal, {_text(stream)} AS stream, record "
        f"FROM {_lines(runs, stream)} WHERE record IS NOT NULL"
        for stream in streams
    ]
    return " UNION ALL ".join(parts)


def _lines(runs: Sequence[ListedRun], stream: str) -> str | None:
    """Each line of a stream as JSON, as `record`, joined with its run; None where no run has the stream."""
    return _read(runs, stream, "read_ndjson_objects", "", "w(record, filename)")


def _columns(runs: Sequence[ListedRun], stream: str, columns: str) -> str | None:
    """These fields of a stream's lines, joined with their runs; None where no run has the stream."""
    return _read(runs, stream, "read_json", f", format = 'newline_delimited', columns = {columns}", "w")


def _read(runs: Sequence[ListedRun], stream: str, reader: str, options: str, alias: str) -> str | None:
    found = []
    for each in runs:
        path = each.path / "raw" / f"{stream}.ndjson"
        if each.run is not None and path.is_file():
            found.append((str(path), each.name, each.run.manifest.rehearsal))
    if not found:
        return None
    files = ", ".join(_text(path) for path, _, _ in found)
    names = ", ".join(f"({_text(path)}, {_text(run)}, {json.dumps(rehearsal)})" for path, run, rehearsal in found)
    read = f"{reader}([{files}], ignore_errors = true, filename = true{options})"
    return f"{read} AS {alias} JOIN (VALUES {names}) AS f(path, run, rehearsal) ON w.filename = f.path"


def _nothing(table: str) -> str:
    columns = ", ".join(f"NULL::{field.type} AS {field.name}" for field in TABLES[table])
    return f"SELECT {columns} WHERE false"


def _text(value: str) -> str:
    """A literal of SQL, in which a quote is doubled and nothing else is escaped."""
    return "'" + value.replace("'", "''") + "'"
