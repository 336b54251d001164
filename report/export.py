"""Exports the tables for other programs: CSV, newline-delimited JSON or Parquet, with a file that describes them."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import duckdb

from report.results_schema import EXPORTED, TABLES, VERSION
from report.runs import RunError

FORMATS = {"csv": "csv, header", "json": "json", "parquet": "parquet, compression zstd"}
SCHEMA_FILE = "schema.json"


def export(database: duckdb.DuckDBPyConnection, kind: str, to: Path) -> list[Path]:
    """Writes a file for each table, all of them or none. Raises RunError if the directory is not empty."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to}: not an empty directory; name one that is, or a new one")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    except OSError as error:
        raise RunError(f"{to}: can't be written: {error.strerror}") from None
    try:
        for table in EXPORTED:
            file = str(partial / f"{table}.{kind}").replace("'", "''")
            database.execute(f"COPY ({_finite(table)}) TO '{file}' (FORMAT {FORMATS[kind]})")
        (partial / SCHEMA_FILE).write_text(schema_json())
        partial.chmod(0o755)
        partial.replace(to)
    except (OSError, duckdb.Error) as error:
        raise RunError(f"{to}: can't be written: {' '.join(str(error).split())}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(to.iterdir())


def _finite(table: str) -> str:
    """The table with null for NaN and Infinity, which DuckDB would write although JSON does not have them."""
    doubles = [field.name for field in TABLES[table] if field.type == "DOUBLE"]
    replaced = ", ".join(f"CASE WHEN isfinite({name}) THEN {name} END AS {name}" for name in doubles)
    return f"SELECT * REPLACE ({replaced}) FROM {table}" if replaced else f"FROM {table}"


def schema_json() -> str:
    tables = {
        table: [{"name": field.name, "type": field.type, "meaning": field.meaning} for field in TABLES[table]]
        for table in EXPORTED
    }
    return json.dumps({"schema": VERSION, "tables": tables}, indent=1) + "\n"
