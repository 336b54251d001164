"""What makes the report of long raw streams faster: a columnar copy of what was read, and a second process that reads.

`columns/<name>/` beside `raw/` has a Parquet file for each table, `document.json` with what is no table, and
`made_of.json`, which tells what the copy was made of. The raw streams stay the truth: a copy is used only if they, the
program that reads them, and its own files are as they were. Otherwise it is made again. Where it can't be written, as
in a folder that is read-only, every report reads the raw streams.

The second process pays: the report of a million records (bench/page.py) took 23 and 19 s with it, 29 and 20 s without,
on two busy processors. A third one does not (docs/explanation/results.md).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from report.atomic_write import folder_written_atomically
from report.runs import Run

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
Table = Mapping[str, NDArray[Any]]
# Shorter streams are read as fast as their copy, and sooner than a process has started.
BYTES_MIN = 32 << 20
# So many pieces of a raw stream are compared, beside its size and time: all of 2 GB would take more than a second.
_PIECES = 64
_PIECE_BYTES = 4096
_MADE_OF = "made_of.json"
_DOCUMENT = "document.json"


@contextmanager
def read_in_parallel(run: Run, read: Callable[[Run], T], *streams: str) -> Iterator[Callable[[], T]]:
    """Yields a function that waits for `read` and returns what it returns; the problems that it met become the run's.

    `read` must be picklable. It runs in another process only if `streams`, which it reads, are long.
    """
    if (os.cpu_count() or 1) < 2 or not _are_long(run, streams):
        yield lambda: read(run)
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        reading = pool.submit(run.read_apart, read)

        def wait() -> T:
            answer, problems = reading.result()
            run.problem(*problems)
            return answer

        yield wait


def _are_long(run: Run, streams: tuple[str, ...]) -> bool:
    return sum(run.stream_bytes(stream) for stream in streams) >= BYTES_MIN


@dataclass(frozen=True)
class Content:
    """Tables of columns with plain numbers, and what is no table, as JSON."""

    tables: Mapping[str, Table]
    document: bytes


class _MadeOf(msgspec.Struct):
    program: str
    streams: dict[str, tuple[int, int, int, str]]  # bytes, modification and change (ns), checksum of pieces
    files: dict[str, str]  # checksums of the copy's own files


class ColumnarCopy:
    """The copy of several streams of a run under a name."""

    def __init__(self, run: Run, name: str, *streams: str) -> None:
        self.path = run.path / "columns" / name
        # None: the streams are short, or can't be read.
        self._stamps: dict[str, tuple[int, int, int, str]] | None = None
        if _are_long(run, streams):
            # Of the time before the streams are read: what is appended meanwhile makes the copy stale.
            with contextlib.suppress(OSError):
                self._stamps = {stream: _stamp(run.stream_path(stream)) for stream in streams}

    @property
    def is_current(self) -> bool:
        """False where there is no copy, or one that is stale or damaged."""
        if self._stamps is None:
            return False
        try:
            made_of = msgspec.json.decode((self.path / _MADE_OF).read_bytes(), type=_MadeOf)
            return made_of == _MadeOf(_program(), self._stamps, _checksums(self.path))
        except (OSError, ValueError):
            return False

    def load(self) -> Content | None:
        """Reads the copy; None if it is not current."""
        if not self.is_current:
            return None
        tables = {}
        try:
            with _database() as database:
                for file in self.path.glob("*.parquet"):
                    columns = database.execute("FROM read_parquet(?)", [str(file)]).fetchnumpy()
                    # DuckDB takes NaN in a numpy array for null, and gives it back masked.
                    tables[file.stem] = {name: np.ma.filled(column, np.nan) for name, column in columns.items()}
            return Content(tables, (self.path / _DOCUMENT).read_bytes())
        except OSError:
            return None

    def save(self, content: Content) -> None:
        """Replaces the copy; does nothing where the streams are short, or the folder can't be written."""
        if self._stamps is None:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(exist_ok=True)
            for left in self.path.parent.glob(f".{self.path.name}.*"):  # by a report that was killed
                shutil.rmtree(left, ignore_errors=True)
            with folder_written_atomically(self.path) as folder:
                with _database() as database:
                    for name, table in content.tables.items():
                        path = str(folder / f"{name}.parquet").replace("'", "''")
                        database.register("a_table", dict(table))
                        database.execute(f"COPY (FROM a_table) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
                (folder / _DOCUMENT).write_bytes(content.document)
                made_of = _MadeOf(_program(), self._stamps, _checksums(folder))
                (folder / _MADE_OF).write_bytes(msgspec.json.encode(made_of))
                shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Raises OSError where DuckDB can't read or write a file."""
    import duckdb  # slow to load, and most reports come without

    try:
        with duckdb.connect(config={"threads": 1}) as database:
            yield database
    except duckdb.Error as error:
        raise OSError(str(error)) from None


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
    """Returns a checksum of the report's own code, which gives the columns their meaning."""
    digest = hashlib.sha256()
    room = Path(__file__).parent
    for file in sorted(room.rglob("*.py")):
        digest.update(f"{file.relative_to(room)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
