"""Keeps a columnar copy of what was read of long raw streams, so that a second report need not read these.

`columns/<name>/` beside `raw/` has a Parquet file for each table, `document.json` with what is no table, and
`made_of.json`, which tells what the copy was made of. The raw streams stay the truth: a copy is used only if they, the
program that reads them, and its own files are as they were. Otherwise it is made again. Where it can't be written, as
in a folder that is read-only, every report reads the raw streams.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from report.atomic_write import folder_written_atomically
from report.runs import Run

if TYPE_CHECKING:
    import duckdb

Table = Mapping[str, NDArray[Any]]
# Shorter streams are read as fast as their copy.
BYTES_MIN = 32 << 20
# So many pieces of a raw stream are compared, beside its size and time: all of 2 GB would take more than a second.
_PIECES = 64
_PIECE_BYTES = 4096
_MADE_OF = "made_of.json"
_DOCUMENT = "document.json"


@dataclass(frozen=True)
class Content:
    """Tables of columns with plain numbers, and what is no table, as JSON."""

    tables: Mapping[str, Table]
    document: bytes


class _Origin(msgspec.Struct):
    program: str
    streams: dict[str, tuple[int, int, int, str]]  # bytes, modification and change (ns), checksum of pieces


class _MadeOf(msgspec.Struct):
    origin: _Origin
    files: dict[str, str]  # checksums of the copy's own files


class ColumnarCopy:
    """The copy of several streams of a run under a name."""

    def __init__(self, run: Run, name: str, *streams: str) -> None:
        self.path = run.path / "columns" / name
        self._run = run
        self._streams = streams
        self._is_long = sum(run.stream_bytes(stream) for stream in streams) >= BYTES_MIN
        # Of the time before the streams are read: what is appended meanwhile makes the copy stale.
        self._origin = self._now() if self._is_long else None

    @property
    def is_current(self) -> bool:
        """False where there is no copy, or one that is stale or damaged."""
        try:
            made_of = msgspec.json.decode((self.path / _MADE_OF).read_bytes(), type=_MadeOf)
            return made_of.origin == self._origin and made_of.files == _checksums(self.path)
        except (OSError, ValueError):
            return False

    def load(self) -> Content | None:
        """None where the copy is not current."""
        if not self.is_current:
            return None
        import duckdb  # slow to load, and most reports come without

        try:
            document = (self.path / _DOCUMENT).read_bytes()
            with duckdb.connect(config={"threads": 1}) as database:
                tables = {
                    # DuckDB takes NaN in a numpy array for null, and gives it back masked.
                    file.stem: {name: np.ma.filled(column, np.nan) for name, column in _columns(database, file)}
                    for file in self.path.glob("*.parquet")
                }
        except (OSError, duckdb.Error):
            return None
        return Content(tables, document)

    def save(self, content: Content) -> None:
        """Replaces the copy; does nothing where the streams are short, or the folder can't be written."""
        if self._origin is None:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(exist_ok=True)
            for left in self.path.parent.glob(f".{self.path.name}.*"):  # by a report that was killed
                shutil.rmtree(left, ignore_errors=True)
            with folder_written_atomically(self.path) as folder:
                self._write(folder, content, self._origin)
                shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, folder: Path, content: Content, origin: _Origin) -> None:
        import duckdb  # slow to load, and most reports come without

        try:
            with duckdb.connect(config={"threads": 1}) as database:
                for name, table in content.tables.items():
                    path = str(folder / f"{name}.parquet").replace("'", "''")
                    database.register("a_table", dict(table))
                    database.execute(f"COPY (FROM a_table) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        except duckdb.Error as error:
            raise OSError(str(error)) from None
        (folder / _DOCUMENT).write_bytes(content.document)
        made_of = _MadeOf(origin, _checksums(folder))
        (folder / _MADE_OF).write_bytes(msgspec.json.encode(made_of))

    def _now(self) -> _Origin | None:
        try:
            streams = {name: _stamp(self._run.stream_path(name)) for name in self._streams}
        except OSError:
            return None
        return _Origin(_program(), streams)


def _columns(database: duckdb.DuckDBPyConnection, file: Path) -> Iterable[tuple[str, NDArray[Any]]]:
    return database.execute("FROM read_parquet(?)", [str(file)]).fetchnumpy().items()


def _stamp(path: Path) -> tuple[int, int, int, str]:
    """Everybody can set the time of a modification, and nobody that of a change (ctime)."""
    if not path.exists():
        return 0, 0, 0, ""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        for at in np.linspace(0, max(0, size - _PIECE_BYTES), _PIECES).astype(np.int64).tolist():
            file.seek(at)
            digest.update(file.read(_PIECE_BYTES))
    stat = path.stat()
    return size, stat.st_mtime_ns, stat.st_ctime_ns, digest.hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != _MADE_OF
    }


@functools.cache
def _program() -> str:
    """A checksum of the report's own code, whose meaning the columns have."""
    digest = hashlib.sha256()
    room = Path(__file__).parent
    for file in sorted(room.rglob("*.py")):
        digest.update(f"{file.relative_to(room)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
