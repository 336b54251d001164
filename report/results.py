"""`python -m report.results`: lists the runs, queries them in SQL, exports them.

    python -m report.results                                      lists all runs, damaged ones too
    python -m report.results --sql "FROM intervals LIMIT 5"       queries the tables of docs/results-schema.md
    python -m report.results --export DIRECTORY --format parquet  writes a file for each table

Exit code 1: the query or the directory can't be used; one line says why.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from report.format import MISSING, moment
from report.runs import ListedRun, RunError, list_runs
from report.table import Cell, Column, Table, marked
from report.terminal import console, errors_as_lines, exit_with, print_table

SHOWN_AS = ("table", "csv", "json")


def listing(runs: Sequence[ListedRun]) -> Table:
    """Returns the table of all runs, oldest first."""
    rows: list[Sequence[Cell | str]] = []
    for each in runs:
        if each.run is None:
            rows.append((each.name, MISSING, MISSING, Cell("damaged", "bad"), each.damage or MISSING))
            continue
        manifest = each.run.manifest
        where = marked(manifest.region, manifest.rehearsal)
        tone = {"complete": "good", "failed": "bad"}.get(manifest.status, "muted")
        rows.append((each.name, where, moment(manifest.started_at), Cell(manifest.status, tone), manifest.reason or ""))
    columns = [Column("run"), Column("region"), Column("started"), Column("status"), Column("why")]
    return Table("Runs", columns, rows, name="runs")


def query(runs: Sequence[ListedRun], sql: str, shown_as: str) -> None:
    """Prints a query's answer. Raises RunError with the database's message if the query is wrong."""
    import duckdb

    from report.database import connect

    try:
        sql.encode()
    except UnicodeEncodeError:  # DuckDB raises TypeError, with its own functions' signatures
        raise RunError("--sql: it has bytes that are not UTF-8; write it in UTF-8, in a locale that has it") from None
    with connect(runs) as database:
        try:
            if not database.extract_statements(sql):
                raise RunError('--sql: no query; give one, such as "FROM cells"')
            answer = database.sql(sql)
            rows = answer.fetchall() if answer is not None else []
            columns = answer.columns if answer is not None else []
        except (duckdb.Error, OverflowError) as error:  # the latter: an interval longer than Python's
            raise RunError(f"--sql: {' '.join(str(error).split())}") from None
    if shown_as == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    elif shown_as == "json":
        for name in columns:
            if columns.count(name) > 1:
                raise RunError(f"--sql: two columns are called {name}; give each a name of its own (AS)")
        for row in rows:
            print(json.dumps(dict(zip(columns, map(plain_json, row), strict=True)), allow_nan=False))
    else:
        words = [[MISSING if value is None else _text(value) for value in row] for row in rows]
        numeric = [all(isinstance(row[n], int | float | None) for row in rows) for n in range(len(columns))]
        drawn = [Column(name, is_number) for name, is_number in zip(columns, numeric, strict=True)]
        print_table(console(), Table("", drawn, words), rehearsal=False)


def plain_json(value: Any) -> Any:
    """Returns a value as JSON (RFC 8259) has it, which knows no NaN and no Infinity: they are null."""
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@errors_as_lines(1)
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m report.results", description="Lists, queries and exports runs.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--sql", metavar="QUERY", help="a query over the tables of docs/results-schema.md")
    parser.add_argument("--export", type=Path, metavar="DIRECTORY", help="write a file a table into a new directory")
    parser.add_argument("--format", help="of --sql: table, csv or json; of --export: csv, json or parquet")
    options = parser.parse_args(arguments)
    runs = list_runs(options.results)
    if options.sql is not None and options.export is not None:
        raise RunError("--sql and --export: give one of them")
    if options.format is not None and options.sql is None and options.export is None:
        raise RunError(f"--format {options.format}: it is of --sql or --export; give one of them")
    if options.export is not None:
        _export(runs, options)
    elif options.sql is not None:
        query(runs, options.sql, _one_of(options.format or "table", SHOWN_AS))
    elif not runs:
        print(f"report: {options.results}: no run is there yet")
    else:
        print_table(console(), listing(runs), rehearsal=False)
    return 0


def _export(runs: Sequence[ListedRun], options: argparse.Namespace) -> None:
    from report.database import FORMATS, connect, export

    kind = _one_of(options.format or "csv", tuple(FORMATS))
    with connect(runs) as database:
        for file in export(database, kind, options.export):
            print(file)


def _one_of(name: str, allowed: Sequence[str]) -> str:
    if name not in allowed:
        raise RunError(f"--format {name}: allowed are {', '.join(allowed)}")
    return name


if __name__ == "__main__":
    exit_with(main)
