"""Reads a run directory, `results/<experiment>/<stack>/<UTC time>/`: its manifest and its raw streams.

A run that was interrupted may be damaged: the last line half-written, a stream missing, the manifest cut short.
`Run.problems` says what was left out of the streams; a run whose manifest can't be read is listed as damaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from report.records import Record, RecordError, read_as, read_document, shown, text, whole_or_none

SCHEMA = 1
STATUSES = ("running", "complete", "failed")
_PROBLEMS_PER_STREAM = 5
# Fits into a processor's cache, where decoding takes half the time that it takes of megabytes.
_BLOCK_BYTES = 128 << 10
_BATCH_RECORDS = 512

# Twice as fast as the json module; decoding is most of a long run's report.
_decode = msgspec.json.Decoder().decode
T = TypeVar("T")


class RunError(Exception):
    """A run that can't be read, in one line."""


@dataclass(frozen=True)
class Step:
    name: str
    seconds: float | None
    changes: int | None  # things that the step changed on the hosts; None for a step that only looks or measures


@dataclass(frozen=True)
class Manifest:
    experiment: str
    stack: str
    region: str
    rehearsal: bool
    started_at: str
    finished_at: str | None
    status: str
    reason: str | None
    plan: Record
    versions: Record
    inventory: Record
    steps: tuple[Step, ...]


@dataclass
class Run:
    path: Path
    manifest: Manifest
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.manifest.experiment}/{self.manifest.stack}/{self.path.name}"

    def has_stream(self, name: str, unknown: str | None = None) -> bool:
        """Returns whether the run has this stream. A missing one is added to the run's problems if `unknown` says what
        is therefore not known.
        """
        found = self.stream_path(name).is_file()
        if not found and unknown is not None:
            self.problem(f"raw/{name}.ndjson is missing: {unknown}")
        return found

    def stream_bytes(self, name: str) -> int:
        """Returns the size of raw/<name>.ndjson, 0 if the run has none."""
        path = self.stream_path(name)
        return path.stat().st_size if path.is_file() else 0

    def stream(self, name: str) -> Iterator[Record]:
        """Returns the records of raw/<name>.ndjson in order. Lines that are not JSON objects are left out."""
        lines = _Lines(self, name)
        for block in self._blocks(name):
            yield from lines.records(block)
        lines.count_omissions()

    def read(self, name: str, parse: Callable[[Record], T]) -> list[T]:
        """Returns what `parse` returns for each record. Records for which it raises RecordError are left out."""
        parsed = []
        for record in self.stream(name):
            try:
                parsed.append(parse(record))
            except RecordError as error:
                self.omit(name, error)
        return parsed

    def batches(self, name: str, decode: Callable[[bytes], list[T]]) -> Iterator[list[T]]:
        """Returns a long stream, hundreds of records at a time, four times as fast as `stream`.

        `decode` gets whole lines. If it raises ValueError it gets them one by one, and those for which it raises again
        are left out.
        """
        lines = _Lines(self, name)
        batch: list[T] = []
        for block in self._blocks(name):
            try:
                decoded = decode(block)
                lines.seen += len(decoded)
                batch += decoded
            except (ValueError, RecursionError):
                for record in lines.records(block):
                    try:
                        batch += decode(msgspec.json.encode(record) + b"\n")
                    except ValueError as error:
                        # msgspec tells where it is in the list of lines, of which there is one.
                        fault = str(error).replace(" - at `$[0]`", "").replace("`$[0].", "`")
                        self.omit(name, ValueError(fault), record)
            if len(batch) >= _BATCH_RECORDS:
                yield batch
                batch = []
        yield batch
        lines.count_omissions()

    def omit(self, stream: str, error: Exception, record: Record | None = None) -> None:
        cell = record.get("cell") if record else None
        self.problem(f"raw/{stream}.ndjson: a record{f' of {cell}' if cell else ''} left out: {error}")

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Returns whole lines, many at a time; the last one may be cut off."""
        path = self.stream_path(name)
        label = f"raw/{path.name}"
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self.problem(f"{label} is missing")
            return
        except OSError as error:
            self.problem(f"{label}: {error.strerror}")
            return
        with file:
            while block := file.read(_BLOCK_BYTES):
                yield block if block.endswith(b"\n") else block + file.readline()

    def problem(self, *texts: str) -> None:
        self.problems += [text for text in dict.fromkeys(texts) if text not in self.problems]

    def read_apart(self, read: Callable[[Run], T]) -> tuple[T, list[str]]:
        """Returns what `read` returns, and the problems that it finds, which are not added to the run's."""
        alone = Run(self.path, self.manifest)
        return read(alone), alone.problems

    def stream_path(self, name: str) -> Path:
        return self.path / "raw" / f"{name}.ndjson"


class _Lines:
    """Numbers the lines of one stream, and reports those that it leaves out."""

    def __init__(self, run: Run, name: str) -> None:
        self.seen = 0
        self._run = run
        self._label = f"raw/{name}.ndjson"
        self._left_out = 0

    def records(self, block: bytes) -> Iterator[Record]:
        lines = block.split(b"\n")
        for at, line in enumerate(lines):
            if at == len(lines) - 1 and not line:
                break
            self.seen += 1
            if not line.strip():
                continue
            try:
                record = _decode(line)
            except (ValueError, RecursionError):  # the latter: nested too deeply
                if at == len(lines) - 1:
                    self._run.problem(f"{self._label}: the last line is half-written, left out")
                else:
                    self._omit("not JSON")
                continue
            if isinstance(record, dict):
                yield record
            else:
                self._omit("not an object")

    def count_omissions(self) -> None:
        if self._left_out > _PROBLEMS_PER_STREAM:
            self._run.problem(f"{self._label}: {self._left_out} lines left out in all")

    def _omit(self, why: str) -> None:
        self._left_out += 1
        if self._left_out <= _PROBLEMS_PER_STREAM:
            self._run.problem(f"{self._label}, line {self.seen}: {why}, left out")


def decode_lines(decoder: msgspec.json.Decoder[T], block: bytes) -> list[T]:
    """Returns the record of each line. Raises ValueError if a line has none, or two."""
    import numpy as np  # slow to load, and nothing that lists runs comes here

    decoded = decoder.decode_lines(block)
    # In a quarter of the time that bytes.count takes.
    if len(decoded) != np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")):
        raise ValueError("not a document on each line")
    return decoded


@dataclass(frozen=True)
class ListedRun:
    """A run in a list of runs; if it is damaged, `run` is None and `damage` says why."""

    path: Path
    run: Run | None
    damage: str | None

    @property
    def name(self) -> str:
        """experiment/stack/time."""
        return "/".join(self.path.parts[-3:])


def open_run(path: Path) -> Run:
    """Reads the manifest of a run directory. Raises RunError if there is none that can be read."""
    manifest_path = path / "manifest.json"
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not path.is_dir():
            raise RunError(f"{path}: no such run directory") from None
        raise RunError(f"{path}: damaged: no manifest.json") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged: manifest.json can't be read: {error}") from None
    try:
        document = read_document(text)
    except RecordError as error:
        raise RunError(f"{path}: damaged: manifest.json is {error}") from None
    try:
        return Run(path, parse_manifest(document))
    except RecordError as error:
        raise RunError(f"{path}: damaged: manifest.json: {error}") from None


def list_runs(results: Path) -> list[ListedRun]:
    """Returns every run under results/, oldest first, with the damaged ones and the folders that can't be listed."""
    listed: list[ListedRun] = []
    folders = [results]
    for _ in ("experiments", "stacks", "runs"):
        below: list[Path] = []
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    below += [folder / entry.name for entry in entries if entry.is_dir()]
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                listed.append(ListedRun(folder, None, f"damaged: can't be listed: {error.strerror}"))
        folders = below
    for path in folders:
        try:
            listed.append(ListedRun(path, open_run(path), None))
        except RunError as error:
            listed.append(ListedRun(path, None, str(error).removeprefix(f"{path}: ")))
    return sorted(listed, key=lambda each: (each.path.name, str(each.path)))


def damages(listed: Sequence[ListedRun]) -> list[str]:
    """Returns a line for each of these runs that can't be read."""
    return [f"{item.path}: {item.damage}" for item in listed if item.run is None]


def newest_readable(listed: Sequence[ListedRun], place: str, otherwise: str) -> Run:
    """Returns the newest of these runs that is not damaged. Raises RunError if all are damaged, and with `otherwise` if
    there are none.
    """
    readable = [item.run for item in listed if item.run is not None]
    if readable:
        return readable[-1]
    if listed:
        raise RunError(f"{place}: all of its {len(listed)} runs are damaged; the newest: {listed[-1].damage}")
    raise RunError(f"{place}: {otherwise}")


def parse_manifest(document: Any) -> Manifest:
    """Reads a manifest's JSON document. Raises RecordError with its first fault."""
    if not isinstance(document, dict):
        raise RecordError("not an object")
    if document.get("schema") != SCHEMA:
        raise RecordError(f"schema is {shown(document.get('schema'))}, this report reads {SCHEMA}")
    status = text(document, "status")
    if status not in STATUSES:
        raise RecordError(f"status is {shown(status)}, allowed: {', '.join(STATUSES)}")
    steps = document.get("steps") or []
    if not isinstance(steps, list):
        raise RecordError("steps is not a list")
    absent: Record = {name: {} for name in ("plan", "versions", "inventory") if document.get(name) is None}
    return read_as(Manifest, document, **absent, steps=tuple(_step(step) for step in steps))


def _step(step: Any) -> Step:
    if not isinstance(step, dict):
        raise RecordError("steps: each must be an object")
    return read_as(Step, step, changes=whole_or_none(step, "changed"))
